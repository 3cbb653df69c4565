// Package kubeadm knows the files that kubeadm keeps in /etc/kubernetes: which
// certificates and kubeconfigs a control-plane node has, what is in each, and who
// signs it. Facts of a cluster go in, a list comes out; nothing is read, signed or
// written here.
//
// The facts are those of kubeadm's source (gh/kubernetes/kubernetes, below
// cmd/kubeadm/app: phases/certs/certlist.go, util/pkiutil/pki_helpers.go,
// phases/kubeconfig/kubeconfig.go), which differs from release to release; see
// [Version]. Two things are not kubeadm's: key usages are those of the profiles
// server, client and peer, so only RSA keys of what serves encipher (RFC 5280
// section 4.2.1.12), and an authority has no subject alternative name.
package kubeadm
