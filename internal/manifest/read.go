package manifest

import (
	"cmp"
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Options are what the manifests leave open.
type Options struct {
	Namespace        string // of objects that name none; "" means "default"
	ClusterNamespace string // cert-manager's own, in which a ClusterIssuer's Secrets are; "" means "cert-manager"
}

// Read reads all sources. The Set has every object without a problem. The error
// is Problems if something is wrong with the input, all of it in one go and in
// the order of the input; any other error says what could not be read, and then
// there is no Set.
//
// Memory is needed for what is kept and for a few documents at a time, however
// long the input is. Parsing takes all cores.
func Read(ctx context.Context, sources []Source, o Options) (*Set, error) {
	o.Namespace = cmp.Or(o.Namespace, "default")
	o.ClusterNamespace = cmp.Or(o.ClusterNamespace, "cert-manager")
	p := &pipeline{
		jobs:  make(chan *job),
		order: make(chan *job, 256),
		room:  semaphore.NewWeighted(maxDocument),
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(p.jobs)
		defer close(p.order)
		for _, s := range sources {
			if err := p.split(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			r := &reader{decoder: newDecoder(), options: o}
			for j := range p.jobs {
				j.results = r.document(j.file, j.doc)
				close(j.done)
			}
			return nil
		})
	}
	set, problems := p.collect()
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return set, problems
	}
	return set, nil
}

// A job is one document on its way.
type job struct {
	file    string
	doc     document
	done    chan struct{} // closed when results are there
	results []result
}

// A pipeline takes documents apart on all cores and keeps them in order: each job
// goes to jobs, for whoever is free, and to order, for the one who collects.
type pipeline struct {
	jobs, order chan *job
	room        *semaphore.Weighted // bytes of documents on their way
}

// split sends the documents of one source on their way.
func (p *pipeline) split(ctx context.Context, s Source) error {
	in, err := s.open()
	if err != nil {
		return fmt.Errorf("opening manifests: %w", err)
	}
	err = split(in, maxDocument, func(doc document) error {
		if doc.index == 0 {
			return nil
		}
		if err := p.room.Acquire(ctx, weight(doc)); err != nil {
			return context.Cause(ctx)
		}
		j := &job{file: s.Name, doc: doc, done: make(chan struct{})}
		select {
		case p.jobs <- j:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		// Whoever collects never stops before order is closed.
		p.order <- j
		return nil
	})
	if e := in.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.Name, err)
	}
	return nil
}

func weight(doc document) int64 { return int64(min(len(doc.text), maxDocument)) }

// collect puts the results together in the order of the input.
func (p *pipeline) collect() (*Set, Problems) {
	c := &collector{set: &Set{
		Issuers: map[IssuerKey]*Issuer{},
		Secrets: map[Key]*Secret{},
		Passed:  map[string]int{},
	}, seen: map[identity]spot{}}
	for j := range p.order {
		<-j.done
		for i := range j.results {
			c.add(&j.results[i])
		}
		p.room.Release(weight(j.doc))
	}
	return c.set, c.problems
}

type collector struct {
	set      *Set
	problems Problems
	seen     map[identity]spot
}

// An identity is what only one object may have.
type identity struct{ kind, namespace, name string }

// A spot is where an object stands.
type spot struct {
	file           string
	line, document int
}

func (c *collector) add(r *result) {
	set := c.set
	set.References = append(set.References, r.references...)
	set.Warnings = append(set.Warnings, r.warnings...)
	c.problems = append(c.problems, r.problems...)
	if r.passed != "" {
		set.Passed[r.passed]++
	}
	if !r.taken {
		return
	}
	if r.origin.Name != "" {
		id := identity{r.origin.Kind, r.origin.Namespace, r.origin.Name}
		if first, ok := c.seen[id]; ok {
			c.problems = append(c.problems, Problem{r.origin, "", r.origin.Line,
				"is there twice; first at " + Origin{File: first.file, Line: first.line, Document: first.document}.String(), "keep one of them"})
			return
		}
		c.seen[id] = spot{r.origin.File, r.origin.Line, r.origin.Document}
	}
	if len(r.problems) > 0 {
		return
	}
	set.Certificates = append(set.Certificates, r.certificates...)
	if r.request != nil {
		set.Requests = append(set.Requests, r.request)
	}
	if r.issuer != nil {
		set.Issuers[IssuerKey{r.issuer.Kind, r.issuer.Key}] = r.issuer
	}
	if r.secret != nil {
		set.Secrets[r.secret.Key] = r.secret
	}
}
