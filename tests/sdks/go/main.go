// A customer with AWS's SDK for Go: one JSON line per question, for test_sdks.py. Endpoint and keys are in the
// environment.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type line struct {
	Question string `json:"question"`
	Answer   any    `json:"answer,omitempty"`
	Code     string `json:"code,omitempty"`
	Type     string `json:"type,omitempty"`
	Status   int    `json:"status,omitempty"`
	Message  string `json:"message,omitempty"`
}

func say(question string, answer any, err error) {
	said := line{Question: question}
	if err == nil {
		said.Answer = answer
	} else {
		said.Message = err.Error()
		var api smithy.APIError
		if errors.As(err, &api) {
			said.Code, said.Message = api.ErrorCode(), api.ErrorMessage()
			said.Type = strings.TrimPrefix(fmt.Sprintf("%T", api), "*")
		}
		var response *smithyhttp.ResponseError
		if errors.As(err, &response) {
			said.Status = response.HTTPStatusCode()
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(said)
}

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	if err != nil {
		panic(err)
	}
	identities(ctx, cfg)
	clusters(ctx, eks.NewFromConfig(cfg))
	roles(ctx, iam.NewFromConfig(cfg))
}

func identities(ctx context.Context, cfg aws.Config) {
	client := sts.NewFromConfig(cfg)
	identity, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err == nil {
		say("identity", identity.Arn, nil)
	} else {
		say("identity", nil, err)
	}
	global := cfg.Copy()
	global.Region = "aws-global"
	identity, err = sts.NewFromConfig(global).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err == nil {
		say("global", identity.Arn, nil)
	} else {
		say("global", nil, err)
	}
	presigner := sts.NewPresignClient(client)
	url, err := presigner.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		panic(err)
	}
	say("presigned", url.URL, nil)
	for _, expires := range []string{"", "60"} {
		// As aws-iam-authenticator makes its tokens; it says 60 seconds, others say nothing.
		url, err = presigner.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(options *sts.PresignOptions) {
			options.ClientOptions = append(options.ClientOptions, func(inner *sts.Options) {
				inner.APIOptions = append(inner.APIOptions, smithyhttp.SetHeaderValue("x-k8s-aws-id", "shop"))
				if expires != "" {
					inner.APIOptions = append(inner.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Expires", expires))
				}
			})
		})
		if err != nil {
			panic(err)
		}
		say("token"+expires, "k8s-aws-v1."+base64.RawURLEncoding.EncodeToString([]byte(url.URL)), nil)
	}
	_, err = client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String("arn:aws:iam::123456789012:role/web"),
		RoleSessionName:  aws.String("session"),
		WebIdentityToken: aws.String("a.b.c.d"),
	})
	say("web identity", nil, err)
}

func clusters(ctx context.Context, client *eks.Client) {
	_, err := client.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("none")})
	say("no cluster", nil, err)
	var absent *ekstypes.ResourceNotFoundException
	say("no cluster, caught", errors.As(err, &absent) && absent.ClusterName != nil, nil)
	_, err = client.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("a b")})
	say("no name", nil, err)
	_, err = client.CreateCluster(ctx, &eks.CreateClusterInput{
		Name:               aws.String("-"),
		RoleArn:            aws.String("arn:aws:iam::123456789012:role/web"),
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{},
	})
	say("constraint", nil, err)
}

func roles(ctx context.Context, client *iam.Client) {
	_, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
	say("no role", nil, err)
	var absent *iamtypes.NoSuchEntityException
	say("no role, caught", errors.As(err, &absent), nil)
	_, err = client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{
		RoleName:  aws.String("none"),
		PolicyArn: aws.String("not-an-arn-at-all-of-any-kind"),
	})
	say("no arn", nil, err)
}
