// A customer with AWS's SDK for Java: one JSON line per question, for test_sdks.py. Endpoint and keys are in the
// environment.
import java.util.concurrent.Callable;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.eks.EksClient;
import software.amazon.awssdk.services.iam.IamClient;
import software.amazon.awssdk.services.sts.StsClient;

public class Customer {
  static final String ROLE = "arn:aws:iam::123456789012:role/web";

  static String quoted(Object value) {
    return '"' + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
  }

  static void say(String question, Callable<Object> call) throws Exception {
    String told;
    try {
      told = "\"answer\": " + quoted(call.call());
    } catch (AwsServiceException error) {
      told = "\"code\": " + quoted(error.awsErrorDetails().errorCode()) + ", \"type\": "
          + quoted(error.getClass().getSimpleName()) + ", \"status\": " + error.statusCode() + ", \"message\": "
          + quoted(error.awsErrorDetails().errorMessage());
    }
    System.out.println("{\"question\": " + quoted(question) + ", " + told + "}");
  }

  public static void main(String[] arguments) throws Exception {
    StsClient sts = StsClient.create();
    StsClient global = StsClient.builder().region(Region.AWS_GLOBAL).build();
    EksClient eks = EksClient.create();
    IamClient iam = IamClient.builder().region(Region.AWS_GLOBAL).build();
    say("identity", () -> sts.getCallerIdentity().arn());
    say("global", () -> global.getCallerIdentity().arn());
    say("no cluster", () -> eks.describeCluster(asked -> asked.name("none")));
    say("no name", () -> eks.describeCluster(asked -> asked.name("a b")));
    say("constraint", () -> eks.createCluster(asked -> asked.name("-").roleArn(ROLE).resourcesVpcConfig(vpc -> {})));
    say("missing", () -> eks.createCluster(asked -> {}));
    say("no role", () -> iam.getRole(asked -> asked.roleName("none")));
    say("no arn", () -> iam.attachRolePolicy(
        asked -> asked.roleName("none").policyArn("not-an-arn-at-all-of-any-kind")));
    say("web identity", () -> sts.assumeRoleWithWebIdentity(
        asked -> asked.roleArn(ROLE).roleSessionName("session").webIdentityToken("a.b.c.d")));
  }
}
