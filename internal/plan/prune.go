package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// prune lists what manifests made and the input does not name. An authority on
// which anything rests that stays is a problem instead.
func (p *planner) prune() error {
	if p.in.Applied == nil {
		return nil
	}
	named := make(map[string]bool, len(p.nodes))
	for _, c := range p.set.Certificates {
		named[c.Key.String()] = true
	}
	for _, r := range p.set.Requests {
		named[r.Key.String()] = true
	}
	removed := map[string]bool{}
	for name := range p.in.Applied {
		if !named[name] && !removed[name] {
			removed[name] = true
			p.out.Removals = append(p.out.Removals, name)
		}
	}
	if len(removed) == 0 {
		return nil
	}
	slices.Sort(p.out.Removals)

	resting := map[string][]string{} // on an authority that goes
	moved := map[string]bool{}       // no longer under the authority that signed it
	for i := range p.out.Actions {
		act := &p.out.Actions[i]
		if removed[act.Signer.Authority] {
			resting[act.Signer.Authority] = append(resting[act.Signer.Authority], act.Name)
		}
		if act.Verb == Reissue || removed[act.Signer.Authority] {
			moved[act.Name] = true
		}
	}
	for _, name := range p.out.Removals {
		a, err := p.in.Actual(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if a == nil || !a.Authority {
			continue
		}
		all := resting[name]
		if p.in.SignedBy != nil {
			for below := range p.in.SignedBy(name) {
				if below != name && !removed[below] && !moved[below] {
					all = append(all, below)
				}
			}
		}
		if all != nil {
			p.reportResting(name, all)
		}
	}
	return nil
}

func (p *planner) reportResting(name string, all []string) {
	slices.Sort(all)
	t := note{first: all[:min(shown, len(all))], more: max(0, len(all)-shown)}
	ns, rest, _ := strings.Cut(name, "/")
	p.problem(manifest.Origin{File: "the PKI directory", Kind: "Certificate", Key: manifest.Key{Namespace: ns, Name: rest}}, "",
		"no manifest names it any more, but it is not removed: its authority signed "+t.names(), "name it again, or remove those first")
}
