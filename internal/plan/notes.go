package plan

import (
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// A note is a warning about many names at once: it names the first few.
type note struct {
	origin manifest.Origin
	path   string
	format string // with one %s for the names
	first  []string
	more   int
}

// notes are in the order of their first name.
type notes struct {
	order []*note
	byKey map[string]*note
}

const shown = 3

// add puts a name to the note of that key, which makes is called for once.
func (n *notes) add(key, name string, makes func() note) {
	if n.byKey == nil {
		n.byKey = map[string]*note{}
	}
	t, ok := n.byKey[key]
	if !ok {
		made := makes()
		t = &made
		n.byKey[key] = t
		n.order = append(n.order, t)
	}
	if len(t.first) < shown {
		t.first = append(t.first, name)
	} else {
		t.more++
	}
}

func (t *note) names() string {
	s := strings.Join(t.first, ", ")
	if t.more > 0 {
		s += fmt.Sprintf(" and %d more", t.more)
	}
	return s
}

func (p *planner) finishNotes() {
	for _, t := range p.notes.order {
		p.warn(t.origin, t.path, fmt.Sprintf(t.format, t.names()))
	}
}

// noteKept warns of kept certificates that their authority has left behind: none
// of that reissues them, in cert-manager either (section 4.2).
func (p *planner) noteKept(n *node, act *Action, a *Actual) {
	signer := act.Signer.Authority
	if act.Signer.SelfSigned {
		signer = act.Name
	}
	if a.Issuer != "" && a.Issuer != signer {
		iss := n.issuer
		p.notes.add("moved "+iss.id.String()+" "+a.Issuer, act.Name, func() note {
			format := iss.id.String() + " signs with another authority now, " + percent(signer) + ": %s keep their certificates, by " + percent(a.Issuer) + ", until they are reissued"
			return note{origin: act.origin(), path: "spec.issuerRef", format: format}
		})
		return
	}
	if act.Signer.SelfSigned {
		return
	}
	if a.IssuerChanged || p.imports[signer] || n.signer != none && p.nodes[n.signer].renewed {
		p.notes.add("stale "+signer, act.Name, func() note {
			o := act.origin()
			if n.signer != none {
				o = p.set.Certificates[n.signer].Origin
			}
			return note{origin: o, format: "authority " + percent(signer) + " is not the one any more that signed %s: they keep certificate and ca.crt until they are reissued"}
		})
	}
}

func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

func (a *Action) origin() manifest.Origin {
	if a.Request != nil {
		return a.Request.Origin
	}
	return a.Certificate.Origin
}
