"""What every room needs and no room owns: errors, settings, captioning spec, reasons, atomic files, logging."""
