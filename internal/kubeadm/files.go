package kubeadm

import (
	"crypto"
	"fmt"
	"path"
	"slices"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A File is a file of the tree.
type File struct {
	Name    string // in its folder
	Private bool   // for none but its owner
	Key     bool   // a private key is in it
}

func pair(base string) []File { return []File{{Name: base + ".crt"}, {base + ".key", true, true}} }

// Files returns the files of a certificate, the public one first.
func (l *Leaf) Files() []File {
	if l.Kubeconfig != nil {
		return []File{{path.Base(l.Path), true, true}}
	}
	return pair(path.Base(l.Path))
}

// Files returns the files of an authority, the public one first.
func (ca CA) Files() []File { return pair(path.Base(ca.Path)) }

// ServiceAccountFiles returns those of the key of the service accounts. Its public
// half is private, too, in kubeadm's trees
// (gh/kubernetes/kubernetes cmd/kubeadm/app/util/pkiutil, WritePublicKey).
func ServiceAccountFiles() []File {
	base := path.Base(ServiceAccounts)
	return []File{{base + ".pub", true, false}, {base + ".key", true, true}}
}

// A Leftover is what trees of other releases, or with an etcd on the node, have,
// and this one has not.
type Leftover struct {
	Path  string // as in [Leaf] and [CA]
	Files []File
}

// Leftovers returns what may be left of a tree that was written for another
// release, or with an etcd on the node. The error is that of [Cluster.Leaves].
func (c *Cluster) Leftovers() (all []Leftover, err error) {
	most := *c
	most.Version, most.ExternalEtcd = Version{1, 29, 0}, false
	has, err := c.Leaves()
	if err != nil {
		return nil, err
	}
	others, err := most.Leaves()
	if err != nil {
		return nil, err
	}
	for _, ca := range most.CAs() {
		if !slices.Contains(c.CAs(), ca) {
			all = append(all, Leftover{ca.Path, ca.Files()})
		}
	}
	for _, l := range others {
		if !slices.ContainsFunc(has, func(h Leaf) bool { return h.Path == l.Path }) {
			all = append(all, Leftover{l.Path, l.Files()})
		}
	}
	return all, nil
}

// KeyEncoding returns how kubeadm writes a key: RSA keys as PKCS #1, EC keys by
// SEC 1. There are no others in its trees, which is the error.
func KeyEncoding(pub crypto.PublicKey) (pki.KeyEncoding, error) {
	t, err := pki.KeyTypeOf(pub)
	switch {
	case err != nil:
		return "", err
	case t.IsRSA():
		return pki.PKCS1, nil
	case t.IsEC():
		return pki.SEC1, nil
	}
	return "", fmt.Errorf("kubeadm reads EC and RSA keys, and this one is %s", t)
}
