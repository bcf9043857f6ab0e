"""Identity: accounts, users and their access keys, and the AWS profile that a person calls with.

What for: `serve` makes the account at its first start, the AWS API asks whose an access key is, the operations of
iam keep users and keys in the forms that are here. Who may call it: serve, the AWS API, local commands (`profile`,
`homes`, `admin`).
What it never does: check signatures (`wire.sigv4`), decide who may do what.

    names     ids as AWS makes them: accounts, access keys, unique ids
    accounts  the account, its root and its administrator: `ensure`
    users     what is kept of users and access keys; whose a key is
    roles     what is kept of roles: who may take them, and which policies they have
    policies  AWS's managed policies, by ARN: data
    arns      ARNs of users and roles, with their paths
    admin     the administrator's first access key, where root finds it
    profile   the text of AWS's config and credentials files with one profile set
    homes     that text written into a person's home, who may have put anything there

Kept in the store, all below the region `aws-global`:

    account/self           accounts.Account
    iam-user/NAME          users.User
    iam-role/NAME          roles.Role
    access-key/ID          users.AccessKey, and under the same key its secret
    door/cursors           a secret: what cursors of pages are signed with
"""
