"""How many workers there are: a pure policy, the loop, and the seam that starts them."""
