package cmd

import (
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
				part.Files = append(part.Files, filepath.Join(p.place(r.o), f.Name))
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

// table says what became of each part, in lines of at most 100 columns where names
// are not long.
func (r *kubeadmRun) table() error {
	style := r.app.style(r.app.Stdout)
	paint := map[string]func(string) string{
		kubeadmMade: style.Good, kubeadmRenewed: style.Good, kubeadmWritten: style.Warn, kubeadmKept: style.Faint,
	}
	table := term.Table{Indent: "  "}
	for _, p := range r.parts {
		by, until, note := p.by, "", p.why
		if p.leaf != nil {
			by = "by " + p.by
		}
		if p.cert != nil && !r.toBeIssued(p) {
			until = "to " + day(p.cert.NotAfter)
		}
		if note == "" {
			note = p.group()
		}
		table.Row(term.Cell{Text: p.state, Style: paint[p.state]}, p.text(), by, until, note)
	}
	return table.Write(r.app.Stdout)
}

// text names the files of a part; a certificate with its key has one name.
func (p *kubeadmPart) text() string {
	if p.ca != nil && p.files[1].gone {
		return p.path + ".crt"
	}
	return p.path
}

// group says as whom Kubernetes knows a part, where the path does not.
func (p *kubeadmPart) group() string {
	if p.leaf != nil {
		return strings.Join(p.leaf.Subject.Organizations, ", ")
	}
	if p.ca == nil {
		return "for service accounts"
	}
	return ""
}

// advise says what comes next.
func (r *kubeadmRun) advise() {
	if len(r.left) > 0 {
		r.app.note("No part of this tree any more, and left alone; remove it when nothing needs it: %s", strings.Join(r.left, " "))
	}
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
	switch {
	case kept == len(r.parts) && r.closed:
		r.app.note("Nothing else to do: the rest of the tree is as it should be.")
		return
	case kept == len(r.parts):
		r.app.note("Nothing to do: the tree is as it should be.")
		return
	}
	r.app.note("Next: scp -pr %s/* root@%s:/etc/kubernetes/", export.ShellWord(filepath.Clean(r.o.dir)), scpHost(r.o.cluster.Advertise.String()))
	if kept > 0 {
		r.app.note("What runs there reads it when it starts again: API server, controller manager, scheduler, etcd, kubelet.")
		return
	}
	r.app.note("The cluster's first node takes it with: %s", shellLine(r.o.cluster.InitCommand()))
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

// shellLine writes a command as a shell reads it.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = export.ShellWord(w)
	}
	return strings.Join(quoted, " ")
}
