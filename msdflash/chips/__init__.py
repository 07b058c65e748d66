"""What is known about chips: families, devices, registers, part names. Pure tables and the code that walks them."""
