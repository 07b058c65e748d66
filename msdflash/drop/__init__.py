"""The drop: what lies in the folder, when it is whole, how it is taken, and the record that outlives a power cut."""
