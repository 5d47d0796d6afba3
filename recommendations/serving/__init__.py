"""From a buyer to a list: candidate sources, scores, placement rules, explanations."""
