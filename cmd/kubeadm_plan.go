package cmd

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A kubeadmPart is what is kept or made together: a certificate with its key, an
// authority, the key of the service accounts, a kubeconfig.
type kubeadmPart struct {
	path string // in the tree, without suffix; of a kubeconfig with it
	name string // of the certificate or authority; of the key of the service accounts, what exports call it
	ca   *kubeadm.CA
	leaf *kubeadm.Leaf // nil for an authority and for the key of the service accounts
	by   string        // the authority that signs

	order *pkidir.Order // to be issued; nil for what stays
	isNew bool          // it is not there yet
	why   string        // why it is made again

	cert   *x509.Certificate // as it is there now
	bundle *pki.Bundle       // of what was issued, or loaded to be written
	source string            // digest of all public that the files come of

	files  []kubeadmFile
	record *kubeadmRecord // of what was written before; nil for nothing
	export ledger.Export  // that has it
	state  string
	// adopted says that the files are right, and not on record.
	adopted bool
}

// The states of parts.
const (
	kubeadmMade    = "made"
	kubeadmRenewed = "renewed"
	kubeadmWritten = "written" // it was there, and its files were not, or not right
	kubeadmKept    = "kept"
)

// A kubeadmRun is one call of the command.
type kubeadmRun struct {
	app   *app
	o     *kubeadmOptions
	dir   *pkidir.Dir // nil as long as there is no PKI directory
	parts []*kubeadmPart
	sa    crypto.Signer // of the service accounts; nil if it is to be made

	missing  []kubeadm.CA // authorities to be made
	secret   []byte       // the passphrase, once it is known
	warnings []string
}

// passphrase is asked for once: it is that of all authorities.
func (r *kubeadmRun) passphrase() (_ []byte, err error) {
	if r.secret == nil {
		r.secret, err = r.app.passphrase(&r.o.passphrase)()
	}
	return r.secret, err
}

func (a *app) runKubeadm(ctx context.Context, o *kubeadmOptions) (err error) {
	r := &kubeadmRun{app: a, o: o}
	if err := o.checkPlace(a); err != nil {
		return err
	}
	r.dir, err = a.open()
	if err != nil && !errors.Is(err, pkidir.ErrNoDir) {
		return err
	}
	defer func() {
		if r.dir != nil {
			err = errors.Join(err, r.dir.Close())
		}
	}()
	if r.dir != nil && !o.dryRun {
		if err := r.dir.Finish(ctx); err != nil {
			return err
		}
	}
	if err := r.plan(ctx); err != nil {
		return err
	}
	if !o.dryRun {
		if err := r.make(ctx); err != nil {
			return err
		}
	}
	return r.show()
}

// plan decides about everything, before anything is made.
func (r *kubeadmRun) plan(ctx context.Context) error {
	leaves, err := r.o.cluster.Leaves()
	if err != nil {
		return &usageError{err: err}
	}
	if r.o.cluster.Version.DependsOnPatch() && r.o.cluster.Version.Patch == 0 {
		r.warn("Kubernetes %s is taken to be the first of its minor release; its later ones put apiserver-kubelet-client into no group", r.o.cluster.Version)
	}
	for _, ca := range r.o.cluster.CAs() {
		if err := r.planCA(ctx, ca); err != nil {
			return err
		}
	}
	// A name that nobody has begins a cluster; beside others it is a slip.
	for _, ca := range r.missing {
		if name := r.o.authority(ca); name != r.o.defaultCA(ca) && len(r.missing) < len(r.o.cluster.CAs()) {
			return fmt.Errorf("--%s: %w %q", kubeadmFlag(ca), pkidir.ErrNoAuthority, name)
		}
	}
	if err := r.planServiceAccounts(ctx); err != nil {
		return err
	}
	for i := range leaves {
		if err := r.planLeaf(ctx, &leaves[i]); err != nil {
			return err
		}
	}
	if err := r.checkSigners(ctx); err != nil {
		return err
	}
	for _, p := range r.parts {
		if err := r.planFiles(ctx, p); err != nil {
			return err
		}
	}
	return r.refuseForeign()
}

func (r *kubeadmRun) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// current returns the entry that a name stands for, or nil.
func (r *kubeadmRun) current(ctx context.Context, name string) (*ledger.Entry, error) {
	if r.dir == nil {
		return nil, nil
	}
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	e, err := l.Current(ctx, name)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return e, err
}

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
		brought, err := r.readServiceAccountKey()
		if err != nil {
			return err
		}
		if r.sa != nil && !pki.SamePublicKey(r.sa.Public(), brought.Public()) {
			return withHint(fmt.Errorf("--sa-key %s: the service accounts of the cluster have another key, which is kept", r.o.saKey),
				"leave out --sa-key; tell clusters apart with --cluster-name")
		}
		r.sa = brought
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

// serviceAccountSource is the digest of what the files of the key come of.
func serviceAccountSource(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return sha256Hex(der), err
}

func (r *kubeadmRun) readServiceAccountKey() (crypto.Signer, error) {
	file := r.o.saKey
	data, err := r.app.readInput(file, maxImport)
	if err != nil {
		return nil, withHint(fmt.Errorf("--sa-key %s: %w", file, atomicfile.Reason(err)), "name a file that is there and may be read")
	}
	key, _, err := pkidir.ImportKey(data, file, func() ([]byte, error) {
		return nil, &flagValue{"--sa-key: the key is encrypted, and kubeadm has it in the clear", pki.ErrPassphrase}
	})
	if err != nil {
		return nil, withHint(err, "bring sa.key of the cluster as it is, in the clear")
	}
	if _, err := kubeadmEncoding(key.Public()); err != nil {
		return nil, fmt.Errorf("--sa-key %s: %w", file, err)
	}
	return key, nil
}

// kubeadmEncoding is how kubeadm writes keys.
func kubeadmEncoding(pub crypto.PublicKey) (pki.KeyEncoding, error) {
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

// planLeaf decides about one certificate.
func (r *kubeadmRun) planLeaf(ctx context.Context, leaf *kubeadm.Leaf) error {
	name, err := r.o.nameOf(leaf.Name)
	if err != nil {
		return err
	}
	p := &kubeadmPart{path: leaf.Path, name: name.String(), leaf: leaf, by: r.o.authority(leaf.CA)}
	r.parts = append(r.parts, p)
	e, err := r.current(ctx, p.name)
	if err != nil {
		return err
	}
	key := r.keyType()
	if e != nil {
		if err := r.checkOurs(e, p); err != nil {
			return err
		}
		if p.cert, err = x509.ParseCertificate(e.DER); err != nil {
			return fmt.Errorf("the certificate of %q in the ledger: %w", e.Name, err)
		}
		if t, err := pki.KeyTypeOf(p.cert.PublicKey); err == nil && r.o.key == "" && (t.IsEC() || t.IsRSA()) {
			key = t
		}
	}
	order := pkidir.Order{
		Name: name, Profile: leaf.Profile, Authority: p.by, Replace: e != nil, Encoding: pki.SEC1,
		Request: pki.Request{Subject: leaf.Subject, SANs: leaf.SANs, Key: key, Lifetime: pki.Lifetime{Validity: r.o.validity}},
	}
	if key.IsRSA() {
		order.Encoding = pki.PKCS1
	}
	ca := r.part(leaf.CA).cert
	if ca == nil {
		p.order, p.isNew, p.why = &order, e == nil, "its authority is made"
		return leaf.Subject.Check()
	}
	drafts, err := r.dir.Prepare("", []pkidir.Order{order})
	if err != nil {
		return fmt.Errorf("%s: %w", leaf.Name, err)
	}
	if e == nil {
		p.order, p.isNew = &order, true
		return nil
	}
	draft := drafts[0].Template()
	if p.why = r.due(e, p.cert, ca, &draft, key); p.why != "" {
		p.order = &order
		return nil
	}
	b, err := r.dir.Bundle(p.name, nil)
	if err != nil {
		return err
	}
	p.source = r.leafSource(leaf, b)
	return nil
}

// checkOurs refuses to take a name from something else.
func (r *kubeadmRun) checkOurs(e *ledger.Entry, p *kubeadmPart) error {
	what := ""
	switch {
	case e.Kind == ledger.KindAuthority:
		return withHint(fmt.Errorf("%q is an authority", e.Name), "tell the cluster apart with --cluster-name")
	case r.o.force:
		return nil
	case len(e.Manifest) > 0:
		what = "was made by a manifest"
	case !strings.EqualFold(e.Issuer, p.by):
		what = fmt.Sprintf("was signed by authority %q, and not by %q", e.Issuer, p.by)
	default:
		return nil
	}
	return withHint(fmt.Errorf("certificate %q %s", e.Name, what), "tell clusters apart with --cluster-name, or replace it with --force")
}

// due says why a certificate is to be made again; empty for one that stays.
func (r *kubeadmRun) due(e *ledger.Entry, cert, ca, want *x509.Certificate, key profiles.KeyType) string {
	now := r.app.Now()
	has, _ := pki.KeyTypeOf(cert.PublicKey)
	switch {
	case !e.RevokedAt.IsZero():
		return "revoked on " + day(e.RevokedAt)
	case now.After(cert.NotAfter):
		return "expired on " + day(cert.NotAfter)
	case !now.Before(pkidir.RenewalTime(e)):
		return "due since " + day(pkidir.RenewalTime(e))
	case pki.SignedBy(cert, ca) != pki.SignatureGood:
		return "its authority has another key"
	case !bytes.Equal(cert.RawSubject, want.RawSubject):
		return "it is to be " + pki.FormatName(want.RawSubject)
	case !sameNames(cert, want):
		return namesChanged(cert, want)
	case cert.KeyUsage != want.KeyUsage || !slices.Equal(cert.ExtKeyUsage, want.ExtKeyUsage):
		return "other usages"
	case has != key:
		return "its key is to be " + key.String()
	case r.o.validity != 0 && cert.NotAfter.Sub(cert.NotBefore) != want.NotAfter.Sub(want.NotBefore):
		return "it is to last " + profiles.FormatValidity(r.o.validity)
	}
	return ""
}

func sanTexts(c *x509.Certificate) (all []string) {
	for _, s := range pki.SANsOf(c) {
		all = append(all, s.Value())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sameNames(a, b *x509.Certificate) bool { return slices.Equal(sanTexts(a), sanTexts(b)) }

// namesChanged names the first name that came or went.
func namesChanged(has, want *x509.Certificate) string {
	old, now := sanTexts(has), sanTexts(want)
	for _, n := range now {
		if !slices.Contains(old, n) {
			return "new name " + n
		}
	}
	for _, n := range old {
		if !slices.Contains(now, n) {
			return "without " + n
		}
	}
	return "other names"
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
