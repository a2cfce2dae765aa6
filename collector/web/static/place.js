// The telephone's own position into the form of the acceptance page. Without this script a position is typed.
"use strict";
(() => {
  const button = document.getElementById("phone");
  if (!button || !("geolocation" in navigator) || !window.isSecureContext) return;
  const form = button.form, said = document.getElementById("phone-said");
  button.hidden = false;
  const forget = () => { form.elements.accuracy.value = ""; };
  form.elements.lat.addEventListener("input", forget);
  form.elements.lon.addEventListener("input", forget);
  button.addEventListener("click", () => {
    said.textContent = button.dataset.wait;
    navigator.geolocation.getCurrentPosition((found) => {
      const { latitude, longitude, accuracy } = found.coords;
      form.elements.lat.value = latitude.toFixed(6);
      form.elements.lon.value = longitude.toFixed(6);
      form.elements.accuracy.value = String(Math.ceil(accuracy));
      said.textContent = "± " + Math.ceil(accuracy) + " m";
    }, () => { said.textContent = button.dataset.none; }, { enableHighAccuracy: true, timeout: 30000, maximumAge: 0 });
  });
})();
