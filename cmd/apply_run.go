package cmd

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/plan"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An applyRun is one run of apply. All of it happens at one moment of the clock,
// so that a leaf with the lifetime of its CA keeps it.
type applyRun struct {
	app    *app
	o      *applyOptions
	set    *manifest.Set
	dir    *pkidir.Dir // nil: there is none yet
	state  *applyState
	plan   *plan.Plan
	sink   sink
	result applyResult
	// requestKeys are those of CertificateRequests that sign themselves, by name.
	requestKeys map[string]crypto.Signer
}

func (a *app) runApply(ctx context.Context, o *applyOptions) (err error) {
	sources, err := manifest.Sources(o.files, o.recursive, a.stdin())
	if err != nil {
		return sourceError(err)
	}
	a.boundMemory(0)
	at := *a
	now := a.Now()
	at.Now = func() time.Time { return now }
	r := &applyRun{app: &at, o: o}
	reading := a.patience("Reading the manifests")
	r.set, err = manifest.Read(ctx, sources, o.read)
	reading()
	if err != nil {
		return err
	}
	a.boundMemory(len(r.set.Certificates))
	r.dir, err = at.open()
	if errors.Is(err, pkidir.ErrNoDir) {
		r.dir, err = nil, nil
	}
	if err != nil {
		return err
	}
	defer func() {
		if r.dir != nil {
			err = errors.Join(err, r.dir.Close())
		}
	}()
	if r.dir != nil {
		r.dir.SetKeyFile(o.caKey)
	}
	if r.state, err = readApplyState(ctx, r.dir, r.set); err != nil {
		return err
	}
	if o.prune {
		if err := r.state.findSigned(ctx); err != nil {
			return err
		}
	}
	if r.plan, err = plan.Make(r.input(ctx)); err != nil {
		return applyPlanError(err)
	}
	r.sink = r.newSink()
	r.warnings()
	if o.dryRun {
		return r.showPlan(ctx)
	}
	if err := r.checkPlaces(ctx); err != nil {
		return err
	}
	if err := r.execute(ctx); err != nil {
		return executeError(err)
	}
	return r.show()
}

// boundMemory keeps the garbage of many certificates from piling up on what has
// to be kept of them, unless the environment says how.
func (a *app) boundMemory(certificates int) {
	const enough, each = 176 << 20, 1760 // bytes; enough for a hundred thousand
	if a.env("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(enough, int64(certificates)*each))
	}
	if a.env("GOGC") == "" {
		debug.SetGCPercent(400) // below that, speed is worth more
	}
}

func sourceError(err error) error {
	switch {
	case errors.Is(err, manifest.ErrRemote):
		return usagef("fetch it yourself, and give it with -f -", "%w", err)
	case errors.Is(err, manifest.ErrStdin):
		return &usageError{err: err}
	case errors.Is(err, manifest.ErrNone):
		return withHint(err, "-R reads the folders below it, too")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return withHint(fmt.Errorf("-f %s: %w", path.Path, path.Err), "-f takes files, folders, globs and - for standard input")
	}
	return err
}

// applyPlanError adds the next step to what no plan can be made of.
func applyPlanError(err error) error {
	var two *plan.TwoStandInsError
	if errors.As(err, &two) {
		return usagef("give one of them", "%w", err)
	}
	var none *plan.NoAuthorityError
	if errors.As(err, &none) {
		return usagef("'mtlsctl tree' shows the authorities there are; 'mtlsctl init-ca NAME' makes one", "%w", err)
	}
	return err
}

// executeError says how to go on: what was made before an error stays.
func executeError(err error) error {
	var unfinished *pkidir.UnfinishedError
	switch {
	case errors.As(err, &unfinished):
		return withHint(err, "mend the cause and run the same command again: it completes what is missing")
	case pkidir.IsFull(err):
		return withHint(err, "what was made stays; make room and run the same command again")
	}
	return err
}

// input is what the plan is made of.
func (r *applyRun) input(ctx context.Context) plan.Input {
	return plan.Input{
		Set: r.set, Now: r.app.Now(),
		Actual:  func(name string) (*plan.Actual, error) { return r.state.actual(ctx, name) },
		Applied: r.state.names(), SignedBy: r.state.signedBy,
		Issuers: r.state.issuers, CASecret: r.state.caSecret,
		StandIns: r.o.standIns, ClusterNamespace: r.o.read.ClusterNamespace,
		Authorities: func(name string) bool { return r.dir != nil && r.dir.IsAuthority(name) },
		Prune:       r.o.prune,
	}
}

// checkPlaces finds what --out would overwrite before anything is made.
func (r *applyRun) checkPlaces(ctx context.Context) error {
	if r.o.out == "" || r.o.out == stdout {
		return nil
	}
	if err := refusePlace(r.o.out); err != nil {
		return err
	}
	for i := range r.plan.Actions {
		if _, err := r.sink.wants(ctx, &r.plan.Actions[i], ""); err != nil {
			return err
		}
	}
	return nil
}

// execute does what the plan says, in its order.
func (r *applyRun) execute(ctx context.Context) error {
	if r.dir == nil {
		if len(r.plan.Actions)+len(r.plan.Imports)+len(r.plan.Issuers) == 0 {
			return nil
		}
		var err error
		if err = pkidir.Create(ctx, r.app.pkiPath, r.app.Now); err != nil {
			return err
		}
		if r.dir, err = r.app.open(); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{r.dir.Finish, r.importSecrets, r.rememberIssuers, r.issue, r.rewrite, r.writeKept, r.remove} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return r.sink.flush(ctx)
}

// importSecrets takes over the CAs and certificates that the input brings.
func (r *applyRun) importSecrets(ctx context.Context) error {
	for i := range r.plan.Imports {
		if err := r.importSecret(ctx, &r.plan.Imports[i]); err != nil {
			return fmt.Errorf("%s: %w", r.plan.Imports[i].Secret.Origin, err)
		}
	}
	return nil
}

func (r *applyRun) importSecret(ctx context.Context, i *plan.Import) error {
	name, err := pki.ParseName(i.Name)
	if err != nil {
		return err
	}
	chain, key, err := keyPair(i.Secret)
	if err != nil {
		return err
	}
	var applied json.RawMessage
	if i.Certificate != nil {
		if applied, err = plan.NewApplied(i.Certificate).Encode(); err != nil {
			return err
		}
	}
	if i.Authority {
		_, err = r.dir.ImportAuthority(ctx, name, chain, key, pkidir.ImportOptions{Replace: i.Replaces, Manifest: applied})
		return err
	}
	exact, err := i.Certificate.Request(pki.URLs{})
	if err != nil {
		return err
	}
	_, err = r.dir.ImportCertificate(ctx, pkidir.CertificateImport{
		Name: name, Cert: chain[0], Key: key, Encoding: i.Certificate.Encoding(), Exact: &exact, Manifest: applied,
	})
	return err
}

// rememberIssuers keeps the issuers for manifests that only name them, and
// forgets those that were pruned.
func (r *applyRun) rememberIssuers(ctx context.Context) error {
	var stored []ledger.StoredIssuer
	for key, issuer := range r.plan.Issuers {
		if r.state.issuers[key] != nil && r.set.Issuers[key] == nil {
			continue // as it was
		}
		spec, err := json.Marshal(issuer.Spec)
		if err != nil {
			return err
		}
		if string(spec) != string(r.state.issuerSpecs[key]) {
			stored = append(stored, ledger.StoredIssuer{IssuerKey: ledger.IssuerKey{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}, Spec: spec})
		}
	}
	if len(stored) > 0 {
		slices.SortFunc(stored, func(a, b ledger.StoredIssuer) int {
			return strings.Compare(a.Kind+a.Namespace+"/"+a.Name, b.Kind+b.Namespace+"/"+b.Name)
		})
		if err := r.dir.PutIssuers(ctx, stored); err != nil {
			return err
		}
	}
	var gone []ledger.IssuerKey
	for key := range r.state.issuers {
		if r.plan.Issuers[key] == nil {
			gone = append(gone, ledger.IssuerKey{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return r.dir.DeleteIssuers(ctx, gone)
}

// issue makes what is missing or has to be made again.
func (r *applyRun) issue(ctx context.Context) error {
	total := 0
	for i := range r.plan.Actions {
		if issues(&r.plan.Actions[i]) {
			total++
		}
	}
	if total == 0 {
		return nil
	}
	if err := r.findRequestKeys(); err != nil {
		return err
	}
	step, done := r.app.progress("Issuing", total)
	defer done()
	var orderErr error
	next := 0 // what is reported next; IssueAll keeps the order
	orders := iter.Seq[pkidir.Order](func(yield func(pkidir.Order) bool) {
		for i := range r.plan.Actions {
			x := &r.plan.Actions[i]
			if !issues(x) {
				continue
			}
			o, err := r.order(x)
			if err != nil {
				orderErr = fmt.Errorf("%s: %w", x.Name, err)
				return
			}
			if !yield(o) {
				return
			}
		}
	})
	err := r.dir.IssueAll(ctx, orders, pkidir.IssueAllOptions{Passphrase: r.app.passphrase(&r.o.passphrase)}, func(issued []pkidir.Issued) error {
		step(len(issued))
		for i := range issued {
			for !issues(&r.plan.Actions[next]) {
				next++
			}
			x := &r.plan.Actions[next]
			next++
			if issued[i].Err != nil {
				r.failed(x, issued[i].Err)
				continue
			}
			file, err := r.sink.put(ctx, x, issued[i].Entry.Serial, issued[i].Bundle)
			if err != nil {
				return err
			}
			r.done(x, &issued[i], file)
		}
		return nil
	})
	var failed *pkidir.OrdersError
	if errors.As(err, &failed) {
		err = nil // each was said
	}
	return errors.Join(orderErr, err)
}

func issues(x *plan.Action) bool { return x.Verb == plan.Create || x.Verb == plan.Reissue }

// order is what the PKI directory is asked for.
func (r *applyRun) order(x *plan.Action) (o pkidir.Order, err error) {
	if o.Name, err = pki.ParseName(x.Name); err != nil {
		return o, err
	}
	o.SelfSigned, o.Authority = x.Signer.SelfSigned, x.Signer.Authority
	o.KeepKey, o.Replace = x.KeepKey, x.Verb == plan.Reissue
	urls := x.Signer.URLs
	if x.Signer.StandIn {
		urls = r.dir.AuthorityURLs(x.Signer.Authority)
	}
	var exact pki.ExactRequest
	var applied *plan.Applied
	if x.Request != nil {
		exact, err = x.Request.Request(urls)
		applied = plan.NewAppliedRequest(x.Request)
		if err == nil && x.Signer.SelfSigned {
			o.Key = r.requestKeys[x.Name]
		}
	} else {
		exact, err = x.Certificate.Request(urls)
		applied = plan.NewApplied(x.Certificate)
		o.Encoding = x.Certificate.Encoding()
	}
	if err != nil {
		return o, err
	}
	o.Exact = &exact
	o.Manifest, err = applied.Encode()
	return o, err
}

// findRequestKeys reads the keys by which CertificateRequests sign themselves,
// before orders are drawn in another goroutine: the PKI directory is for one.
func (r *applyRun) findRequestKeys() error {
	r.requestKeys = map[string]crypto.Signer{}
	for i := range r.plan.Actions {
		x := &r.plan.Actions[i]
		if x.Request == nil || !x.Signer.SelfSigned || !issues(x) {
			continue
		}
		key, err := r.requestKey(x)
		if err != nil {
			return fmt.Errorf("%s: %w", x.Name, err)
		}
		r.requestKeys[x.Name] = key
	}
	return nil
}

// requestKey finds the key by which a CertificateRequest signs itself.
func (r *applyRun) requestKey(x *plan.Action) (key crypto.Signer, err error) {
	if x.Signer.KeyOf == "" {
		return pki.ParseKey(r.set.Secrets[x.Signer.Key].Data[pkidir.KeyFile], nil)
	}
	b, err := r.dir.Bundle(x.Signer.KeyOf, r.app.passphrase(&r.o.passphrase))
	if err != nil {
		return nil, err
	}
	if b.Key == nil {
		return nil, fmt.Errorf("%q: %w", x.Signer.KeyOf, pki.ErrNoKey)
	}
	return b.Key, nil
}

// rewrite records what changed about Secrets whose certificates stay.
func (r *applyRun) rewrite(ctx context.Context) error {
	var changed []ledger.ManifestOf
	for i := range r.plan.Actions {
		x := &r.plan.Actions[i]
		if x.Verb != plan.Rewrite {
			continue
		}
		a, err := r.state.actual(ctx, x.Name)
		if err != nil {
			return err
		}
		data, err := a.Applied.Rewritten(x.Certificate).Encode()
		if err != nil {
			return err
		}
		changed = append(changed, ledger.ManifestOf{Name: x.Name, Manifest: data})
	}
	if len(changed) == 0 {
		return nil
	}
	return r.dir.AmendManifests(ctx, changed)
}

// writeKept writes the answers of what was not issued now: all of them to a
// stream, and what is missing or has changed to a folder.
func (r *applyRun) writeKept(ctx context.Context) error {
	for i := range r.plan.Actions {
		x := &r.plan.Actions[i]
		if issues(x) {
			continue
		}
		file := ""
		wanted, err := r.sink.wants(ctx, x, r.state.serial(x.Name))
		if err != nil {
			return err
		}
		if wanted {
			b, err := r.dir.Bundle(x.Name, r.app.passphrase(&r.o.passphrase))
			if err != nil {
				return err
			}
			if x.Certificate != nil && b.Key == nil {
				return fmt.Errorf("%q: %w", x.Name, pki.ErrNoKey)
			}
			if file, err = r.sink.put(ctx, x, hex.EncodeToString(b.Leaf().SerialNumber.Bytes()), b); err != nil {
				return err
			}
		}
		r.kept(x, file)
	}
	return nil
}

// exportAt returns what the ledger has of a file.
func (r *applyRun) exportAt(ctx context.Context, path string) (ledger.Export, error) {
	if r.dir == nil {
		return ledger.Export{}, ledger.ErrNotFound
	}
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return ledger.Export{}, err
	}
	return l.ExportAt(ctx, path)
}
