package main

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/klog/v2"
)

// helpTimeout is for one helper pod, from its creation to its end.
const helpTimeout = 2 * time.Minute

// help makes or removes a volume's folder in a pod on its node, with the folder of volumes in the pod at the same path.
//
// Both may be done twice: what a provisioner before this one started is waited for, not repeated.
func (f *folders) help(ctx context.Context, action, volume, node, where string) error {
	ctx, cancel := context.WithTimeout(ctx, helpTimeout)
	defer cancel()
	pods := f.client.CoreV1().Pods(f.namespace)
	wanted := f.helper(action, volume, node, where)
	pod, err := pods.Create(ctx, wanted, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		pod, err = pods.Get(ctx, wanted.Name, metav1.GetOptions{})
		if err == nil && (pod.Spec.NodeName != node || pod.DeletionTimestamp != nil) {
			return fmt.Errorf("pod %s of an earlier try is still going away", pod.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("could not %s the volume on %s: %w", action, node, err)
	}
	defer f.forget(pod.Name)
	return f.ended(ctx, pod)
}

// ended waits until a pod is over, by a watch.
func (f *folders) ended(ctx context.Context, pod *v1.Pod) error {
	one := cache.NewListWatchFromClient(f.client.CoreV1().RESTClient(), "pods", f.namespace,
		fields.OneTermEqualSelector("metadata.name", pod.Name))
	last := pod
	_, err := watchtools.UntilWithSync(ctx, one, &v1.Pod{}, nil, func(event watch.Event) (bool, error) {
		seen, is := event.Object.(*v1.Pod)
		if !is || event.Type == watch.Deleted {
			return false, fmt.Errorf("pod %s was deleted before its end", pod.Name)
		}
		last = seen
		return seen.Status.Phase == v1.PodSucceeded || seen.Status.Phase == v1.PodFailed, nil
	})
	if err != nil {
		return fmt.Errorf("pod %s on node %s (%s) did not end: %w", pod.Name, pod.Spec.NodeName, last.Status.Phase, err)
	}
	if last.Status.Phase == v1.PodFailed {
		return fmt.Errorf("pod %s on node %s failed: %s", pod.Name, pod.Spec.NodeName, said(last))
	}
	return nil
}

// said is what a failed pod's container wrote last, else why the pod failed.
func said(pod *v1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if end := status.State.Terminated; end != nil {
			return fmt.Sprintf("exit code %d: %s", end.ExitCode, end.Message)
		}
	}
	return pod.Status.Reason + " " + pod.Status.Message
}

// forget deletes a helper pod, also when its caller was told to stop.
func (f *folders) forget(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := f.client.CoreV1().Pods(f.namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		klog.Errorf("pod %s stays: %v", name, err)
	}
}

// helper is bound to its node without the scheduler: that one has chosen, and a full node must still lose volumes.
func (f *folders) helper(action, volume, node, where string) *v1.Pod {
	none, grace, limit := false, int64(0), int64(helpTimeout.Seconds())
	root, kind := int64(0), v1.HostPathDirectoryOrCreate
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      fmt.Sprintf("volume-%s-%s", action, volume),
			Namespace: f.namespace,
			Labels:    map[string]string{"app.kubernetes.io/name": "volume-helper"},
		},
		Spec: v1.PodSpec{
			NodeName:                      node,
			RestartPolicy:                 v1.RestartPolicyNever,
			ActiveDeadlineSeconds:         &limit,
			TerminationGracePeriodSeconds: &grace,
			AutomountServiceAccountToken:  &none,
			EnableServiceLinks:            &none,
			PriorityClassName:             "system-node-critical",
			Tolerations:                   []v1.Toleration{{Operator: v1.TolerationOpExists}},
			Containers: []v1.Container{{
				Name:                     "helper",
				Image:                    f.image,
				ImagePullPolicy:          v1.PullIfNotPresent,
				Command:                  []string{program, action, where},
				SecurityContext:          &v1.SecurityContext{RunAsUser: &root, AllowPrivilegeEscalation: &none},
				TerminationMessagePolicy: v1.TerminationMessageFallbackToLogsOnError,
				VolumeMounts:             []v1.VolumeMount{{Name: "volumes", MountPath: f.folder}},
			}},
			Volumes: []v1.Volume{{
				Name: "volumes",
				VolumeSource: v1.VolumeSource{
					HostPath: &v1.HostPathVolumeSource{Path: f.folder, Type: &kind},
				},
			}},
		},
	}
}
