"""What the pages of the console show, as plain data: queries and arithmetic without HTTP.

Whatever a page says of a list comes from the functions that serve lists; nothing here stores anything unless its name
says so.
"""
