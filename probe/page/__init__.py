"""The technician's page: a small server on the access point, a process that is there only while it is used."""
