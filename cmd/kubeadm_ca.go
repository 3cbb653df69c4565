package cmd

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// planCA looks for an authority. It must be a root: whoever trusts the files of
// the tree would trust all that one above it signs.
func (r *kubeadmRun) planCA(ctx context.Context, ca kubeadm.CA) error {
	name := r.o.authority(ca)
	p := &kubeadmPart{path: ca.Path, name: name, ca: &ca, by: name}
	r.parts = append(r.parts, p)
	e, err := r.current(ctx, name)
	switch {
	case err != nil:
		return err
	case e != nil && e.Kind != ledger.KindAuthority:
		return usagef("name another authority with --"+kubeadmFlag(ca), "%q is a certificate, not an authority", name)
	case e == nil:
		p.isNew, p.state = true, kubeadmMade
		r.missing = append(r.missing, ca)
		return nil
	}
	authority, err := r.dir.Authority(name, nil)
	if err != nil {
		return err
	}
	p.cert = authority.Certificate()
	if pki.SelfSigned(p.cert) != pki.SignatureGood {
		return usagef("kubeadm's authorities are roots, since a node would trust all that is signed above them; leave the name to be made, or name a root",
			"authority %q is no root", name)
	}
	if err := r.dir.CheckSigner(ctx, name, false); err != nil {
		return err
	}
	if !r.app.Now().Before(pkidir.RenewalTime(e)) {
		r.warn("authority %q ends on %s: 'mtlsctl renew %s', and then this command again", name, day(e.NotAfter), name)
	}
	p.source = r.caSource(authority.Roots(), p.cert)
	return nil
}

// kubeadmFlag returns the flag that names an authority.
func kubeadmFlag(ca kubeadm.CA) string {
	if ca == kubeadm.ClusterCA {
		return "ca"
	}
	return ca.Name
}

// part returns that of an authority.
func (r *kubeadmRun) part(ca kubeadm.CA) *kubeadmPart {
	for _, p := range r.parts {
		if p.ca != nil && *p.ca == ca {
			return p
		}
	}
	return nil
}

// keyType returns the type of a new key: what is asked for, or that of the
// cluster's authority.
func (r *kubeadmRun) keyType() profiles.KeyType {
	if r.o.key != "" {
		return r.o.key
	}
	if ca := r.part(kubeadm.ClusterCA).cert; ca != nil {
		if t, err := pki.KeyTypeOf(ca.PublicKey); err == nil && (t.IsEC() || t.IsRSA()) {
			return t
		}
	}
	return profiles.ECP256
}

// checkSigners refuses what nobody could sign, and says whose key is missing.
func (r *kubeadmRun) checkSigners(ctx context.Context) error {
	for _, ca := range r.o.cluster.CAs() {
		p := r.part(ca)
		if p.isNew {
			continue
		}
		var leaves []string
		for _, l := range r.parts {
			if l.order != nil && l.leaf.CA == ca {
				leaves = append(leaves, l.leaf.Name)
			}
		}
		if len(leaves) == 0 {
			continue
		}
		if err := r.dir.CheckSigner(ctx, p.name, true); err != nil {
			return fmt.Errorf("%s: %w", joinAnd(leaves), err)
		}
	}
	return nil
}

// planServiceAccounts looks for the key of the service accounts. One that is
// brought must be the one that is kept.
func (r *kubeadmRun) planServiceAccounts(ctx context.Context) error {
	p := &kubeadmPart{path: kubeadm.ServiceAccounts, name: r.o.authority(kubeadm.ClusterCA) + "/service-accounts"}
	r.parts = append(r.parts, p)
	if r.dir != nil {
		key, err := r.dir.ServiceAccountKey(ctx, r.o.authority(kubeadm.ClusterCA))
		if err != nil && !errors.Is(err, pki.ErrNoKey) {
			return err
		}
		r.sa = key
	}
	p.isNew = r.sa == nil
	if r.o.saKey != "" {
		if err := r.readServiceAccountKey(); err != nil {
			return err
		}
		if r.sa != nil && !pki.SamePublicKey(r.sa.Public(), r.brought.Public()) {
			return withHint(fmt.Errorf("--sa-key %s: the service accounts of the cluster have another key, which is kept", r.o.saKey),
				"leave out --sa-key; tell clusters apart with --cluster-name")
		}
		r.sa = r.brought
	}
	if r.sa == nil {
		if err := r.refuseLostKey(ctx, p); err != nil {
			return err
		}
	}
	if p.isNew {
		p.state = kubeadmMade
	}
	if r.sa != nil {
		var err error
		if p.source, err = serviceAccountSource(r.sa); err != nil {
			return err
		}
	}
	return nil
}

// refuseLostKey refuses to make a key in place of one that there was once, such as
// before a backup without keys: the cluster would take none of the tokens that it
// has signed.
func (r *kubeadmRun) refuseLostKey(ctx context.Context, p *kubeadmPart) error {
	if r.dir == nil || r.part(kubeadm.ClusterCA).isNew {
		return nil
	}
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return err
	}
	trees, err := l.Exports(ctx, p.name)
	if err != nil || len(trees) == 0 {
		return err
	}
	return withHint(fmt.Errorf("the key of the service accounts of authority %q is not here any more, and the cluster takes no other", r.o.authority(kubeadm.ClusterCA)),
		"bring it back with --sa-key; it was in %s", strings.TrimSuffix(trees[0].Path, ".pub")+".key")
}

// serviceAccountSource is the digest of what the files of the key come of.
func serviceAccountSource(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return sha256Hex(der), err
}

func (r *kubeadmRun) readServiceAccountKey() error {
	if r.brought != nil {
		return nil
	}
	file := r.o.saKey
	data, err := r.app.readInput(file, maxImport)
	if err != nil {
		return withHint(fmt.Errorf("--sa-key %s: %w", file, atomicfile.Reason(err)), "name a file that is there and may be read")
	}
	key, _, err := pkidir.ImportKey(data, file, func() ([]byte, error) {
		return nil, &flagValue{"--sa-key: the key is encrypted, and kubeadm has it in the clear", pki.ErrPassphrase}
	})
	if err != nil {
		return withHint(err, "bring sa.key of the cluster as it is, in the clear")
	}
	if _, err := kubeadm.KeyEncoding(key.Public()); err != nil {
		return fmt.Errorf("--sa-key %s: %w", file, err)
	}
	r.brought = key
	return nil
}
