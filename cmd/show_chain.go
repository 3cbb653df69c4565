package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// chainJSON says how the certificates of a file hang together. Places count
// from 0.
type chainJSON struct {
	InOrder bool `json:"inOrder"` // one chain, leaf first
	// RootIncluded says that the certificates are one chain that ends in a root.
	RootIncluded bool       `json:"rootIncluded"`
	Order        []int      `json:"order"` // leaf first; empty if they are not one chain
	Links        []linkJSON `json:"links"` // one for each certificate
}

// linkJSON says who signed a certificate.
type linkJSON struct {
	SignedBy  *int `json:"signedBy,omitempty"` // its own place if it is self-signed
	Unchecked bool `json:"unchecked,omitempty"`
	Namesake  *int `json:"sameNameOtherKey,omitempty"`
	CopyOf    *int `json:"copyOf,omitempty"`
}

func describeChain(c pki.Chain) *chainJSON {
	place := func(at int) *int {
		if at == pki.NoPlace {
			return nil
		}
		return &at
	}
	j := &chainJSON{InOrder: c.InOrder(), RootIncluded: c.EndsInRoot(), Order: append([]int{}, c.Order...)}
	for _, l := range c.Links {
		j.Links = append(j.Links, linkJSON{place(l.Issuer), l.Unchecked, place(l.Namesake), place(l.CopyOf)})
	}
	return j
}

// writeChain draws up the certificates of a file in a table.
func (a *app) writeChain(s *showJSON) error {
	style := a.style(a.Stdout)
	if err := a.title(chainTitle(s)); err != nil {
		return err
	}
	t := term.Table{Indent: "  "}
	for i := range s.Certificates {
		c := &s.Certificates[i]
		what := purposeText(c.Usages)
		if c.IsCA {
			what = "intermediate"
			if l := s.Chain.Links[i]; l.SignedBy != nil && (*l.SignedBy == i || l.CopyOf != nil && *l.SignedBy == *l.CopyOf) {
				what = "root"
			}
		}
		until := term.Cell{Text: "until " + day(c.NotAfter)}
		switch now := a.Now(); {
		case now.After(c.NotAfter):
			until = term.Cell{Text: "expired " + day(c.NotAfter), Style: style.Bad}
		case now.Before(c.NotBefore):
			until = term.Cell{Text: "from " + day(c.NotBefore), Style: style.Warn}
		}
		t.Row(strconv.Itoa(i+1), term.Cell{Text: shortName(c), Style: style.Bold}, what, until, linkCell(s, i, style))
	}
	return t.Write(a.Stdout)
}

// purposeText leaves the bits of the key usage out: the purposes say more.
func purposeText(usages []string) string {
	var all []string
	for _, u := range usages {
		if strings.HasSuffix(u, " auth") {
			all = append(all, u)
		}
	}
	return strings.Join(all, ", ")
}

// chainTitle says what the certificates are together.
func chainTitle(s *showJSON) (what, more string) {
	j, n := s.Chain, len(s.Certificates)
	root := "the root is included"
	roots := 0
	for i, l := range j.Links {
		if l.SignedBy != nil && *l.SignedBy == i {
			roots++
		}
	}
	switch {
	case len(j.Order) == 0 && roots == n:
		return fmt.Sprintf("%d certificates", n), "none signed another; a list of roots"
	case len(j.Order) == 0:
		return fmt.Sprintf("%d certificates", n), "they are not one chain"
	case !j.RootIncluded:
		root = "the root is not included"
	}
	what = fmt.Sprintf("Chain of %d certificates", n)
	switch {
	case j.InOrder:
		return what, "in order, leaf first; " + root
	case len(j.Order) < n:
		return what, "with copies in it; " + root
	}
	order := make([]string, n)
	for i, at := range j.Order {
		order[i] = strconv.Itoa(at + 1)
	}
	more = "leaf first it is " + strings.Join(order, ", ") + "; " + root
	if !s.joined {
		more = "out of order; " + more
	}
	return what, more
}

// linkCell says who signed a certificate.
func linkCell(s *showJSON, i int, style term.Style) term.Cell {
	l := s.Chain.Links[i]
	by := ""
	switch {
	case l.CopyOf != nil:
		return term.Cell{Text: fmt.Sprintf("the same as %d", *l.CopyOf+1), Style: style.Warn}
	case l.SignedBy == nil && l.Namesake != nil:
		return term.Cell{Text: fmt.Sprintf("not signed by %d, which has its issuer's name and another key", *l.Namesake+1), Style: style.Bad}
	case l.SignedBy == nil:
		return term.Cell{Text: "signed by " + orNone(nonEmpty(s.Certificates[i].Issuer)) + ", not here"}
	case *l.SignedBy == i:
		by = "self-signed"
	default:
		by = fmt.Sprintf("signed by %d", *l.SignedBy+1)
	}
	if l.Unchecked {
		return term.Cell{Text: by + ", by its name: the signature was not checked", Style: style.Warn}
	}
	return term.Cell{Text: by}
}
