"""Sheets of paper that are no official report: the acceptance sheet, labels, the keeper's notice. Layouts for typst."""
