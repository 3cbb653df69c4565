package cmd

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
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

	missing  []kubeadm.CA  // authorities to be made
	secret   []byte        // the passphrase, once it is known
	brought  crypto.Signer // by --sa-key, once it is read
	began    bool          // something is on record that was not before
	closed   bool          // keys that were open to others
	left     []string      // files of a former tree
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
		if err := r.makeAlone(ctx); err != nil {
			return err
		}
	}
	return r.show()
}

// plan decides about everything, before anything is made.
func (r *kubeadmRun) plan(ctx context.Context) error {
	r.parts, r.missing, r.left, r.warnings, r.sa = nil, nil, nil, nil, nil
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
		r.warnOpen(p)
	}
	if err := r.findLeftovers(ctx); err != nil {
		return err
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
