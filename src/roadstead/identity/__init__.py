"""Identity: accounts, users and their access keys, and the AWS profile that a person calls with.

What for: `serve` makes the account at its first start, the AWS API asks whose an access key is, the operations of
iam keep users and keys in the forms that are here. Who may call it: serve, the AWS API, local commands (`profile`).
What it never does: check signatures (`wire.sigv4`), decide who may do what.

    names     ids as AWS makes them: accounts, access keys, unique ids
    accounts  the account, its root and its administrator: `ensure`
    users     what is kept of users and access keys; whose a key is
    profile   the text of AWS's config and credentials files with one profile set
    homes     that text written into a person's home, who may have put anything there

Kept in the store, all below the region `aws-global`:

    account/self           accounts.Account
    iam-user/NAME          users.User
    access-key/ID          users.AccessKey, and under the same key its secret
    door/cursors           a secret: what cursors of pages are signed with
"""
