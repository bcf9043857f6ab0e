// Command volume-provisioner gives claims of block storage a folder on the disk of the node that their pod got.
//
// The library that Kubernetes' own external-provisioner is made of does the work of a provisioner: claims, retries,
// events, leader election. This program says what a volume is: a folder below --folder, made and removed by a short
// pod on that node, and a PersistentVolume of type local that belongs to the node and to its zone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func main() {
	if acted, err := act(os.Args[1:]); acted {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	provision()
}

func provision() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "a kubeconfig; without it the pod's own service account is used")
	name := flag.String("name", "ebs.csi.aws.com", "the provisioner that storage classes name")
	also := flag.String("also", "kubernetes.io/aws-ebs", "another name that means the same")
	namespace := flag.String("namespace", "kube-system", "where the lease and the helper pods are")
	image := flag.String("helper-image", "", "the image of this program, for pods on the nodes")
	folder := flag.String("folder", "/var/lib/roadstead-volumes", "where volumes are on every node")
	flag.Parse()
	if *image == "" {
		klog.Exit("--helper-image is missing")
	}

	// Without a kubeconfig this is the configuration of the pod that we are in.
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		klog.Exitf("no way to the API server: %v", err)
	}
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		klog.Exitf("no client: %v", err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	controller.NewProvisionController(
		ctx,
		client,
		*name,
		&folders{client: client, namespace: *namespace, image: *image, folder: *folder},
		controller.AdditionalProvisionerNames([]string{*also}),
		controller.LeaderElectionNamespace(*namespace),
		// A claim waits as long as it must: a node may be down for a day.
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
	).Run(ctx)
}
