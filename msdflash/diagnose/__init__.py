"""From measurements to causes: a catalogue of causes, small rules over readings, one ranked diagnosis. Pure: no I/O, no clock."""
