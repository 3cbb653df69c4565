package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// nss is a database of Network Security Services, "sql:" in certutil's words: a
// folder with cert9.db. certutil lists with -L, adds with -A, deletes with -D and
// makes a database with -N (the manual page of NSS, certutil(1)).
type nss struct {
	certutil string
	dir      string
	store    *Store
}

// trustedCA are the trust attributes of a root: the certificates of servers
// may end at it, and nothing else.
const trustedCA = "C,,"

func (n *nss) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	return command{args: append([]string{n.certutil, "-d", "sql:" + n.dir}, args...), stdin: stdin}.run(ctx)
}

// read lists the names, and then what each stands for. With a name certutil
// lists all certificates of the same subject, in no order that could be relied
// on: see assign.
func (n *nss) read(ctx context.Context) (c Contents, err error) {
	list, err := n.run(ctx, nil, "-L")
	if err != nil {
		return Contents{}, err
	}
	groups := map[string]*nssGroup{}
	seen := map[string]*nssGroup{} // by name
	var order []*nssGroup
	for _, r := range parseNSSList(string(list)) {
		g, again := seen[r.name]
		if !again {
			out, err := n.run(ctx, nil, "-L", "-a", "-n", r.name)
			if programSaid(err, "Could not find cert") {
				continue // it has no name, and is shown under what stands for one
			} else if err != nil {
				return Contents{}, err
			}
			ders := fromPEM(out)
			slices.SortFunc(ders, bytes.Compare)
			key := string(bytes.Join(ders, nil))
			if g = groups[key]; g == nil {
				g = &nssGroup{ders: ders}
				groups[key], order = g, append(order, g)
			}
			seen[r.name] = g
		}
		g.rows = append(g.rows, r)
	}
	for _, g := range order {
		c.entries = append(c.entries, g.assign()...)
	}
	return c, nil
}

// An nssGroup is the certificates of one subject, with the names that there are
// for them.
type nssGroup struct {
	rows []nssRow
	ders [][]byte
}

// assign finds out which name is whose: one that was given here says so itself,
// and what is left over of each belongs together if it is one. Otherwise a
// certificate has no name of its own, and is trusted only if all are.
func (g *nssGroup) assign() (entries []entry) {
	rows, left := slices.Clone(g.rows), [][]byte(nil)
	for _, der := range g.ders {
		at := -1
		if cert, err := x509.ParseCertificate(der); err == nil {
			at = slices.IndexFunc(rows, func(r nssRow) bool { return r.name == nameOf(cert) })
		}
		if at < 0 {
			left = append(left, der)
			continue
		}
		entries = append(entries, entry{name: rows[at].name, der: der, trusted: rows[at].trusted(), alone: true})
		rows = slices.Delete(rows, at, at+1)
	}
	for _, der := range left {
		e := entry{der: der, alone: len(left) == 1 && len(rows) == 1}
		if len(rows) > 0 {
			e.name = rows[0].name
			e.trusted = !slices.ContainsFunc(rows, func(r nssRow) bool { return !r.trusted() })
		}
		entries = append(entries, e)
	}
	return entries
}

// add trusts a certificate, under a name of ours unless it has one already.
func (n *nss) add(ctx context.Context, cert *x509.Certificate) error {
	if n.store.New {
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			return err
		}
		if _, err := n.run(ctx, nil, "-N", "--empty-password"); err != nil {
			return err
		}
	}
	_, err := n.run(ctx, toPEM(cert), "-A", "-t", trustedCA, "-n", nameOf(cert))
	if programSaid(err, "SEC_ERROR_BAD_PASSWORD") || programSaid(err, "Error opening input terminal") {
		return &passwordError{err}
	}
	return err
}

// remove deletes a certificate by its name, if that is its own.
func (n *nss) remove(ctx context.Context, cert *x509.Certificate, in Contents) error {
	for _, e := range in.of(cert) {
		if !e.alone {
			return fmt.Errorf("%w: which one of several of its subject is called %q, certutil does not tell", ErrElsewhere, e.name)
		}
		if _, err := n.run(ctx, nil, "-D", "-n", e.name); err != nil {
			return err
		}
	}
	return nil
}

// A passwordError is a database whose password certutil could not ask for.
type passwordError struct{ err error }

func (e *passwordError) Error() string {
	return "it has a primary password, which was not given"
}

func (e *passwordError) Unwrap() error { return e.err }

// IsPassword reports whether a store has a password that nobody gave.
func IsPassword(err error) bool {
	var password *passwordError
	return errors.As(err, &password)
}

// An nssRow is a line of `certutil -L`: a name and three lists of letters, for
// servers, e-mail and code.
type nssRow struct{ name, trust string }

// trusted reports whether servers are trusted by it: C says so, and p says that
// it is distrusted whatever else there is.
func (r nssRow) trusted() bool {
	servers, _, _ := strings.Cut(r.trust, ",")
	return strings.Contains(servers, "C") && !strings.Contains(servers, "p")
}

// parseNSSList reads what `certutil -L` lists. A name may have spaces, and one
// that is too long for its column is followed by a single one.
func parseNSSList(list string) (rows []nssRow) {
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, " \r\n")
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || !isTrustFlags(line[at+1:]) {
			continue
		}
		if name := strings.TrimRight(line[:at], " "); name != "" {
			rows = append(rows, nssRow{name, line[at+1:]})
		}
	}
	return rows
}

// isTrustFlags reports whether a word is three lists of the letters in
// certutil(1), which the heads of the columns are not.
func isTrustFlags(s string) bool {
	return strings.Count(s, ",") == 2 && strings.Trim(s, "pPcCTuwg,") == ""
}

// nssStore is the store in a folder.
func (m *Machine) nssStore(kind Kind, dir string) *Store {
	s := &Store{Kind: kind, Path: dir, Tool: "certutil", New: !exists(filepath.Join(dir, "cert9.db"))}
	certutil := m.certutil()
	if certutil == "" {
		s.Missing, s.Package = "certutil", nssPackage()
	}
	s.backend = &nss{certutil, dir, s}
	return s
}
