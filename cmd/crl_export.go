package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

func addCRLExportFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "export", false, "write again what was exported with a former CRL")
}

// followCRLs finds the exports that hold CRLs which were published anew, and with
// again writes them once more. Servers go by what they have.
func (a *app) followCRLs(ctx context.Context, d *pkidir.Dir, crls []pkidir.PublishedCRL, again bool, passphrase *secretFlags) (all []exportedAt, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	exports, err := l.Exports(ctx, "")
	if err != nil {
		return nil, err
	}
	o := &renewOptions{export: again}
	o.passphrase = *passphrase
	var errs []error
	for i := range exports {
		e := &exports[i]
		var r exportRecord
		if err := json.Unmarshal(e.Options, &r); err != nil || e.Format != formatCRL && !r.CRL {
			continue
		}
		above, err := authoritiesOf(ctx, l, e.Name)
		if err != nil {
			return all, err
		}
		if !slices.ContainsFunc(crls, func(c pkidir.PublishedCRL) bool { return slices.Contains(above, strings.ToLower(c.Issuer)) }) {
			continue
		}
		at, err := a.followExport(ctx, d, e, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("the CRL is published, but %s was not written again: %w", e.Path, err))
		}
		if at.State != "" {
			at.Next, at.crl = a.withPKI(at.Next), true
			all = append(all, at)
		}
	}
	return all, errors.Join(errs...)
}

// authoritiesOf returns the names, in lower case, of the authorities whose CRLs an
// export of a name holds: those above it, and itself if it is one.
func authoritiesOf(ctx context.Context, l *ledger.Ledger, name string) (all []string, err error) {
	e, err := l.Current(ctx, name)
	for err == nil {
		if e.Kind == ledger.KindAuthority {
			all = append(all, strings.ToLower(e.Name))
		}
		if slices.Contains(all, strings.ToLower(e.Issuer)) { // a root
			return all, nil
		}
		e, err = l.Current(ctx, e.Issuer)
	}
	if errors.Is(err, ledger.ErrNotFound) { // it has no name any more
		err = nil
	}
	return all, err
}
