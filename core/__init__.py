"""What every room needs and no room owns: errors, settings, the captioning spec, reject reasons, atomic files, logging."""
