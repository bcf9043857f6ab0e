"""What the units of a control plane share: their files, policies, names and leadership. Pure; for `components`."""
