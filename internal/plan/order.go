package plan

import "strings"

// findCycles walks from every Certificate to the one that signs it, sets the
// levels on the way back, and reports each ring once.
func (p *planner) findCycles() {
	const walking = -2
	var path []int32
	for start := range p.nodes {
		path = path[:0]
		i := int32(start)
		for i != none && p.nodes[i].level == -1 {
			p.nodes[i].level = walking
			path = append(path, i)
			i = p.nodes[i].signer
		}
		level := int32(0)
		switch {
		case i == none:
		case p.nodes[i].level == walking:
			p.reportCycle(path, i)
		default:
			level = p.nodes[i].level + 1
		}
		for j := len(path) - 1; j >= 0; j-- {
			p.nodes[path[j]].level = level
			level++
		}
	}
}

// reportCycle names the ring at the end of path that begins with first.
func (p *planner) reportCycle(path []int32, first int32) {
	for path[0] != first {
		path = path[1:]
	}
	c := p.set.Certificates[first]
	if len(path) == 1 {
		p.problem(c.Origin, "spec.secretName", "Secret "+secretOf(c).String()+" is the CA of its own issuer, "+p.nodes[first].issuer.id.String()+
			": the certificate would have to sign itself before it is there", "give it a selfSigned issuer, or another secretName")
		return
	}
	var ring strings.Builder
	for k, i := range path {
		if k > 0 {
			ring.WriteString(", ")
		}
		ring.WriteString(p.set.Certificates[i].Key.String() + " by " + p.set.Certificates[p.nodes[i].signer].Key.String())
	}
	p.problem(c.Origin, "spec.issuerRef", "the Certificates are signed in a ring: "+ring.String(), "give one of them a selfSigned issuer")
}

// order returns the nodes level by level, within a level in the order of the input.
func (p *planner) order() []int32 {
	var starts []int32 // of each level, counted first
	for i := range p.nodes {
		l := int(p.nodes[i].level) + 1
		for len(starts) <= l {
			starts = append(starts, 0)
		}
		starts[l]++
	}
	for l := 1; l < len(starts); l++ {
		starts[l] += starts[l-1]
	}
	all := make([]int32, len(p.nodes))
	for i := range p.nodes {
		at := &starts[p.nodes[i].level]
		all[*at] = int32(i)
		*at++
	}
	return all
}
