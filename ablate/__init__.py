"""ablate: which of your tricks earn their place, and how sure are we?"""
