// A customer with AWS's SDK for JavaScript: one JSON line per question, for test_sdks.py. Endpoint and keys are in the
// environment.
import { gzipSync } from "node:zlib";
import { DescribeClusterCommand, CreateClusterCommand, EKSClient, ListClustersCommand } from "@aws-sdk/client-eks";
import { AttachRolePolicyCommand, GetRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const once = { maxAttempts: 1 };

async function say(question, call) {
  try {
    console.log(JSON.stringify({ question, answer: await call() }));
  } catch (error) {
    const { name, constructor, message, $metadata } = error;
    console.log(JSON.stringify({ question, code: name, type: constructor.name, status: $metadata?.httpStatusCode, message }));
  }
}

function changed(client, change) {
  client.middlewareStack.add((next) => (args) => next({ ...args, request: change(args.request) }), { step: "build", priority: "low" });
  return client;
}

function packed(request) {
  request.body = gzipSync(request.body);
  request.headers["content-encoding"] = "gzip";
  request.headers["content-length"] = String(request.body.length);
  return request;
}

function slashed(request) {
  request.path = `${request.path}/`;
  return request;
}

const eks = new EKSClient(once), iam = new IAMClient(once), sts = new STSClient(once);
const role = "arn:aws:iam::123456789012:role/web";
const cluster = { name: "none", roleArn: role, resourcesVpcConfig: { subnetIds: [] } };

await say("identity", async () => (await sts.send(new GetCallerIdentityCommand({}))).Arn);
await say("global", async () => (await new STSClient({ ...once, region: "aws-global" }).send(new GetCallerIdentityCommand({}))).Arn);
await say("no cluster", () => eks.send(new DescribeClusterCommand({ name: "none" })));
await say("no name", () => eks.send(new DescribeClusterCommand({ name: "a b" })));
await say("constraint", () => eks.send(new CreateClusterCommand({ ...cluster, name: "-" })));
await say("missing", () => eks.send(new CreateClusterCommand({})));
await say("no role", () => iam.send(new GetRoleCommand({ RoleName: "none" })));
await say("no arn", () => iam.send(new AttachRolePolicyCommand({ RoleName: "none", PolicyArn: "not-an-arn-at-all-of-any-kind" })));
await say("web identity", () => sts.send(new AssumeRoleWithWebIdentityCommand({ RoleArn: role, RoleSessionName: "session", WebIdentityToken: "a.b.c.d" })));
await say("packed", async () => (await changed(new STSClient(once), packed).send(new GetCallerIdentityCommand({}))).Arn);
await say("slashed", async () => (await changed(new EKSClient(once), slashed).send(new ListClustersCommand({}))).clusters);
await say("old", () => new EKSClient({ ...once, systemClockOffset: -20 * 60_000 }).send(new ListClustersCommand({})));
