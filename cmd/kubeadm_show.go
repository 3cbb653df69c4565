package cmd

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// kubeadmJSON is the result: docs/json.md explains the fields.
type kubeadmJSON struct {
	Dir      string            `json:"dir"`
	Node     string            `json:"node"`
	Version  string            `json:"kubernetesVersion"`
	DryRun   bool              `json:"dryRun,omitempty"`
	Parts    []kubeadmPartJSON `json:"parts"`
	Warnings []string          `json:"warnings,omitempty"`
}

type kubeadmPartJSON struct {
	State     string     `json:"state"`
	Why       string     `json:"why,omitempty"`
	Files     []string   `json:"files"`
	Name      string     `json:"name,omitempty"`
	Authority string     `json:"authority,omitempty"`
	Subject   string     `json:"subject,omitempty"`
	NotAfter  *time.Time `json:"notAfter,omitempty"`
}

func (r *kubeadmRun) show() error {
	if r.o.cluster.Version.HasSuperAdmin() && !r.o.dryRun {
		r.adviseSuperAdmin()
	}
	if r.app.json {
		return r.app.writeJSON(r.json())
	}
	if !r.app.quiet {
		if err := r.table(); err != nil {
			return err
		}
	}
	for _, w := range r.warnings {
		r.app.warn("%s", w)
	}
	r.advise()
	return nil
}

// adviseSuperAdmin says what super-admin.conf is when it is made.
func (r *kubeadmRun) adviseSuperAdmin() {
	for _, p := range r.parts {
		if p.path == "super-admin.conf" && p.state != kubeadmKept {
			r.warn("super-admin.conf is in the group %s, which may do everything, past RBAC: take it off the node after 'kubeadm init', and lock it up", kubeadm.Masters)
		}
	}
}

func (r *kubeadmRun) json() kubeadmJSON {
	j := kubeadmJSON{
		Dir: r.o.dir, Node: r.o.cluster.Node, Version: r.o.cluster.Version.String(), DryRun: r.o.dryRun,
		Parts: []kubeadmPartJSON{}, Warnings: r.warnings,
	}
	for _, p := range r.parts {
		part := kubeadmPartJSON{State: p.state, Why: p.why, Files: []string{}, Authority: p.by}
		if p.by != "" {
			part.Name = p.name
		}
		for _, f := range p.files {
			if !f.gone {
				part.Files = append(part.Files, filepath.Join(p.place(r.o), f.name))
			}
		}
		if p.cert != nil && !r.toBeIssued(p) {
			end := p.cert.NotAfter.UTC()
			part.Subject, part.NotAfter = pki.FormatName(p.cert.RawSubject), &end
		}
		j.Parts = append(j.Parts, part)
	}
	return j
}

// toBeIssued reports whether a part's certificate is another than it has now.
func (r *kubeadmRun) toBeIssued(p *kubeadmPart) bool { return r.o.dryRun && p.order != nil }

// table says what became of each part.
func (r *kubeadmRun) table() error {
	style := r.app.style(r.app.Stdout)
	paint := map[string]func(string) string{
		kubeadmMade: style.Good, kubeadmRenewed: style.Good, kubeadmWritten: style.Warn, kubeadmKept: style.Faint,
	}
	table := term.Table{Indent: "  "}
	for _, p := range r.parts {
		by, until := "", ""
		if p.leaf != nil {
			by = "by " + p.by
		}
		if p.cert != nil && !r.toBeIssued(p) {
			until = "until " + day(p.cert.NotAfter)
		}
		table.Row(term.Cell{Text: p.state, Style: paint[p.state]}, p.text(), p.subject(), by, until, p.why)
	}
	return table.Write(r.app.Stdout)
}

// text names the files of a part.
func (p *kubeadmPart) text() string {
	if len(p.files) == 1 {
		return p.path
	}
	var endings []string
	for _, f := range p.files {
		if !f.gone {
			endings = append(endings, filepath.Ext(f.name))
		}
	}
	return p.path + strings.Join(endings, " ")
}

// subject says whom a part stands for: the group as which Kubernetes knows it is
// after a comma.
func (p *kubeadmPart) subject() string {
	switch {
	case p.leaf != nil:
		return strings.Join(append([]string{p.leaf.Subject.CommonName}, p.leaf.Subject.Organizations...), ", ")
	case p.cert != nil:
		return displayName(p.cert)
	case p.ca != nil:
		return p.ca.Name
	}
	return "for tokens of service accounts"
}

// advise says what comes next.
func (r *kubeadmRun) advise() {
	kept := 0
	for _, p := range r.parts {
		if p.state == kubeadmKept {
			kept++
		}
	}
	if r.o.dryRun {
		r.app.note("This was a dry run: nothing was made.")
		return
	}
	if kept == len(r.parts) {
		r.app.note("Nothing to do: the tree is as it should be.")
		return
	}
	r.app.note("Next: scp -pr %s/* root@%s:/etc/kubernetes/", export.ShellWord(filepath.Clean(r.o.dir)), scpHost(r.o.cluster.Advertise.String()))
	if kept > 0 {
		r.app.note("What runs there reads it when it starts again: API server, controller manager, scheduler, etcd, kubelet.")
		return
	}
	r.app.note("The cluster's first node takes it with: %s", r.o.kubeadmInit())
	if len(r.missing) == 0 {
		r.app.note("A further one takes it with 'kubeadm join --control-plane', and makes its own kubelet.conf: leave that one out.")
	}
	if r.o.externalCA {
		r.app.note("Nobody there can sign for kubelets, since the authorities' keys stay here.")
	}
}

// scpHost puts an IPv6 address in brackets, which is one with a colon.
func scpHost(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// kubeadmInit is the command that takes the tree: its defaults are left out.
func (o *kubeadmOptions) kubeadmInit() string {
	c := &o.cluster
	words := []string{"kubeadm", "init", "--kubernetes-version", "v" + c.Version.String(), "--node-name", c.Node,
		"--apiserver-advertise-address", c.Advertise.String()}
	flag := func(on bool, flag, value string) {
		if on {
			words = append(words, flag, value)
		}
	}
	flag(c.Port != kubeadm.DefaultPort, "--apiserver-bind-port", fmt.Sprint(c.Port))
	flag(c.Endpoint.Host != "", "--control-plane-endpoint", c.Endpoint.String())
	var names []string
	for _, s := range c.SANs {
		names = append(names, s.Value())
	}
	flag(len(names) > 0, "--apiserver-cert-extra-sans", strings.Join(names, ","))
	flag(services(c) != kubeadm.DefaultServiceCIDR, "--service-cidr", services(c))
	flag(c.DNSDomain != kubeadm.DefaultDNSDomain, "--service-dns-domain", c.DNSDomain)
	for i := range words {
		words[i] = export.ShellWord(words[i])
	}
	return strings.Join(words, " ")
}
