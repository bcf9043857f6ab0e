"""CloudFormation without stacks: `absent` answers tools that look for theirs beside what they find."""
