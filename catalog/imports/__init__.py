"""Files and rows of listings from elsewhere: formats, headings, vocabulary, staging, storing, undoing."""
