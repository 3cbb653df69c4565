package kubeadm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Version is a release of Kubernetes.
type Version struct{ Major, Minor, Patch int }

// oldest is the first release that is known here: since 1.20, without regard to
// patches, controller manager and scheduler talk to the API server beside them.
var oldest = Version{1, 20, 0}

// ParseVersion reads a release as `kubeadm version -o short` prints it: v1.31.4,
// 1.31.4, also with what follows a dash or a plus sign. Without a patch it is the
// first of its minor release, whose tree all later ones accept.
func ParseVersion(s string) (Version, error) {
	number := strings.TrimPrefix(s, "v")
	if at := strings.IndexAny(number, "-+"); at >= 0 {
		number = number[:at]
	}
	parts := strings.Split(number, ".")
	if len(parts) != 2 && len(parts) != 3 {
		return Version{}, errors.New("write it as 1.31.4")
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || p != strconv.FormatUint(v, 10) {
			return Version{}, errors.New("write it as 1.31.4")
		}
		n[i] = int(v)
	}
	v := Version{n[0], n[1], n[2]}
	if v.Major != 1 || v.before(oldest) {
		return Version{}, fmt.Errorf("the releases that are known begin with %d.%d", oldest.Major, oldest.Minor)
	}
	return v, nil
}

// String returns the release as in 1.31.4.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

func (v Version) before(w Version) bool {
	if v.Minor != w.Minor {
		return v.Minor < w.Minor
	}
	return v.Patch < w.Patch
}

// HasSuperAdmin reports whether there is a super-admin.conf, and admin.conf is a
// user whom RBAC binds: since 1.29 (KEP 4214).
func (v Version) HasSuperAdmin() bool { return v.Minor >= 29 }

// etcdClientsAreMasters reports whether the clients of etcd are in the group
// system:masters, which says nothing to etcd: until 1.29
// (gh/kubernetes/kubernetes/pull/119859, /pull/120521).
func (v Version) etcdClientsAreMasters() bool { return v.Minor < 29 }

// kubeletIsLocal reports whether the kubelet of a control-plane node talks to the
// API server beside it: since 1.33, when the feature gate
// ControlPlaneKubeletLocalMode became the default
// (gh/kubernetes/kubernetes/pull/129956).
func (v Version) kubeletIsLocal() bool { return v.Minor >= 33 }

// kubeletClientGroup returns the group as which the API server comes to kubelets;
// empty for none. It was system:masters until 1.29
// (gh/kubernetes/kubernetes/pull/121837), and there is none since 1.36.1 and the
// patch releases of the same day (gh/kubernetes/kubernetes/pull/138957 and its
// cherry-picks): kubeadm then makes a ClusterRoleBinding for the user.
func (v Version) kubeletClientGroup() string {
	none := Version{1, 36, 1}
	switch v.Minor {
	case 33:
		none.Minor, none.Patch = 33, 12
	case 34:
		none.Minor, none.Patch = 34, 8
	case 35:
		none.Minor, none.Patch = 35, 5
	}
	switch {
	case v.Minor < 29:
		return Masters
	case v.before(none):
		return ClusterAdmins
	}
	return ""
}

// DependsOnPatch reports whether the tree of a minor release is not the same for
// all its patches.
func (v Version) DependsOnPatch() bool { return v.Minor >= 33 && v.Minor <= 36 }
