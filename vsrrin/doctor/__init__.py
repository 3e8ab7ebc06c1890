"""Whether this machine is fit, and how to mend what is not."""
