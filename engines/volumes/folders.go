package main

import (
	"context"
	"fmt"
	"path"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// nodeAnnotation on a PersistentVolume names the node (the object, not its hostname label) that has the data.
const nodeAnnotation = "roadstead.dev/node"

// folders provisions volumes that are folders on nodes.
type folders struct {
	client    kubernetes.Interface
	namespace string
	image     string
	folder    string
}

// Provision makes the folder on the node that the scheduler selected for the claim's first pod.
func (f *folders) Provision(
	ctx context.Context, options controller.ProvisionOptions,
) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	if err := refusal(options); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	node, err := f.client.CoreV1().Nodes().Get(ctx, options.SelectedNodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, controller.ProvisioningReschedule, fmt.Errorf("node %s is gone", options.SelectedNodeName)
	}
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	where := path.Join(f.folder, options.PVName)
	if err := f.help(ctx, makeAction, options.PVName, node.Name, where); err != nil {
		// The node may be down or full: let the scheduler choose again.
		return nil, controller.ProvisioningReschedule, err
	}
	return volume(options, node, where), controller.ProvisioningFinished, nil
}

// Delete removes the folder. Where the node is gone for good, so is the data.
func (f *folders) Delete(ctx context.Context, pv *v1.PersistentVolume) error {
	node, found := pv.Annotations[nodeAnnotation]
	if !found || pv.Spec.Local == nil || pv.Spec.Local.Path != path.Join(f.folder, pv.Name) {
		return &controller.IgnoredError{Reason: "the volume was not made by this provisioner"}
	}
	_, err := f.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		klog.Infof("volume %s was on node %s, which is gone", pv.Name, node)
		return nil
	}
	if err != nil {
		return err
	}
	return f.help(ctx, removeAction, pv.Name, node, pv.Spec.Local.Path)
}

// refusal says why a claim cannot be met; its text becomes an event of the claim. The library refuses block volumes.
func refusal(options controller.ProvisionOptions) error {
	for _, mode := range options.PVC.Spec.AccessModes {
		if mode != v1.ReadWriteOnce && mode != v1.ReadWriteOncePod {
			return fmt.Errorf("access mode %s is not supported: a volume is on one node, "+
				"so ask for ReadWriteOnce or ReadWriteOncePod", mode)
		}
	}
	if options.PVC.Spec.Selector != nil {
		return fmt.Errorf("a selector is not supported: volumes are made new for each claim")
	}
	if options.PVC.Spec.DataSource != nil || options.PVC.Spec.DataSourceRef != nil {
		return fmt.Errorf("a data source is not supported: volumes are made empty")
	}
	if options.SelectedNodeName == "" {
		return fmt.Errorf("storage class %s has volumeBindingMode Immediate: "+
			"a volume needs a node, so use WaitForFirstConsumer", options.StorageClass.Name)
	}
	return nil
}

// volume is the PersistentVolume of a folder: its pods run on the node that has it, which is in that zone.
func volume(options controller.ProvisionOptions, node *v1.Node, where string) *v1.PersistentVolume {
	terms := []v1.NodeSelectorRequirement{in(v1.LabelHostname, hostname(node))}
	if zone := node.Labels[v1.LabelTopologyZone]; zone != "" {
		terms = append(terms, in(v1.LabelTopologyZone, zone))
	}
	mode := v1.PersistentVolumeFilesystem
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        options.PVName,
			Annotations: map[string]string{nodeAnnotation: node.Name},
		},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			VolumeMode:                    &mode,
			Capacity: v1.ResourceList{
				v1.ResourceStorage: options.PVC.Spec.Resources.Requests[v1.ResourceStorage],
			},
			PersistentVolumeSource: v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: where}},
			NodeAffinity: &v1.VolumeNodeAffinity{
				Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: terms}}},
			},
		},
	}
}

func in(key, value string) v1.NodeSelectorRequirement {
	return v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpIn, Values: []string{value}}
}

func hostname(node *v1.Node) string {
	if name := node.Labels[v1.LabelHostname]; name != "" {
		return name
	}
	return node.Name
}
