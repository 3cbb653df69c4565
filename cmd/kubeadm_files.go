package cmd

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// formatKubeadm is what the ledger calls a part of a tree: an export whose files
// only this command writes again.
const formatKubeadm = "kubeadm"

// A kubeadmRecord is what the ledger keeps of a part beside its path.
type kubeadmRecord struct {
	Files  map[string]string `json:"sums"`             // digests of what was written, by file name
	Before map[string]string `json:"before,omitempty"` // of what was in its place
	Source string            `json:"source"`           // see kubeadmPart
	Next   string            `json:"next"`             // the command that writes it again
}

// has reports whether a file is as it was written.
func (k *kubeadmRecord) has(name, sum string) bool {
	return k != nil && (k.Files[name] == sum || k.Before[name] == sum)
}

// A kubeadmFile is one file of a part.
type kubeadmFile struct {
	kubeadm.File
	gone    bool        // it must not be there
	data    []byte      // what is to be in it; nil as long as that is not known
	found   string      // digest of what is there; empty for nothing
	open    fs.FileMode // the mode of a key that others may use; 0 for none
	foreign bool        // what is there is no file
	special error       // nor a link, which could be replaced
}

// place is where the files of a part are, below DIR.
func (p *kubeadmPart) place(o *kubeadmOptions) string {
	return filepath.Join(o.dir, filepath.FromSlash(path.Dir(p.path)))
}

// fileNames returns the files of a part, the public one first.
func (r *kubeadmRun) fileNames(p *kubeadmPart) (all []kubeadmFile) {
	files := kubeadm.ServiceAccountFiles()
	switch {
	case p.leaf != nil:
		files = p.leaf.Files()
	case p.ca != nil:
		files = p.ca.Files()
	}
	for _, f := range files {
		all = append(all, kubeadmFile{File: f, gone: p.ca != nil && f.Key && r.o.externalCA})
	}
	return all
}

// caSource is the digest of what the files of an authority come of.
func (r *kubeadmRun) caSource(roots []*x509.Certificate, cert *x509.Certificate) string {
	return sha256Hex(fmt.Appendf(caPEM(roots, cert), "external %t", r.o.externalCA))
}

// leafSource is the digest of what the files of a certificate come of.
func (r *kubeadmRun) leafSource(leaf *kubeadm.Leaf, b *pki.Bundle) string {
	if leaf.Kubeconfig == nil {
		return sha256Hex(b.ChainPEM())
	}
	return sha256Hex(fmt.Appendf(append(b.ChainPEM(), b.RootsPEM()...), "%q", *leaf.Kubeconfig))
}

// caPEM is ca.crt: the authority first, since kubeadm reads one, and then what
// is trusted beside it as long as its key changes.
func caPEM(roots []*x509.Certificate, cert *x509.Certificate) []byte {
	others := slices.DeleteFunc(slices.Clone(roots), cert.Equal)
	return pki.MarshalCertificates(append([]*x509.Certificate{cert}, others...))
}

// planFiles compares a part with what is in the tree, and decides whether it is
// to be written. Where that is so and nothing is issued for it, the files are made
// here, so that a key that is missing is found before anything else happens.
func (r *kubeadmRun) planFiles(ctx context.Context, p *kubeadmPart) error {
	p.files = r.fileNames(p)
	if err := r.readRecord(ctx, p); err != nil {
		return err
	}
	present, right := 0, true
	for i := range p.files {
		f := &p.files[i]
		if err := f.read(p.place(r.o)); err != nil {
			return err
		}
		there := f.found != "" || f.foreign
		if there && !f.gone {
			present++
		}
		right = right && there != f.gone && (f.gone || p.record != nil && p.record.Files[f.Name] == f.found)
	}
	switch {
	case p.order != nil && !p.isNew:
		p.state = kubeadmRenewed
	case p.order != nil || p.isNew:
		p.state, p.why = kubeadmMade, ""
	case right && p.record.Source == p.source:
		p.state = kubeadmKept
		return nil
	default:
		p.state, p.why = kubeadmWritten, whyWritten(p, present)
		if err := r.fill(p); err != nil {
			return err
		}
		if !slices.ContainsFunc(p.files, func(f kubeadmFile) bool { return !f.isRight() }) { // such as a copy of the tree
			p.state, p.why, p.adopted = kubeadmKept, "", true
		}
	}
	return nil
}

// isRight reports whether a file is as it is to be.
func (f *kubeadmFile) isRight() bool {
	if f.gone {
		return f.found == "" && !f.foreign
	}
	return f.data != nil && f.found == sha256Hex(f.data)
}

// whyWritten says why files are written of what is there and stays.
func whyWritten(p *kubeadmPart, present int) string {
	switch {
	case present == 0:
		return ""
	case slices.ContainsFunc(p.files, func(f kubeadmFile) bool { return f.gone && f.found != "" }):
		return "without its key"
	case p.record == nil || slices.ContainsFunc(p.files, func(f kubeadmFile) bool { return !f.gone && f.found == "" }):
		return "a file was missing"
	case slices.ContainsFunc(p.files, func(f kubeadmFile) bool { return !f.gone && !p.record.has(f.Name, f.found) }):
		return "somebody changed it"
	}
	return "it had former contents"
}

// read finds out what is in the place of a file.
func (f *kubeadmFile) read(dir string) error {
	file := filepath.Join(dir, f.Name)
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &pkidir.PathError{Path: file, Err: atomicfile.Reason(err)}
	case !info.Mode().IsRegular():
		f.foreign, f.special = true, refuseSpecial(file)
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return &pkidir.PathError{Path: file, Err: atomicfile.Reason(err)}
	}
	f.found = sha256Hex(data)
	if mode := info.Mode().Perm(); f.Key && runtime.GOOS != "windows" && mode&0o077 != 0 {
		f.open = mode
	}
	return nil
}

// exportPath is the key of a part among the exports.
func (r *kubeadmRun) exportPath(p *kubeadmPart) (string, error) {
	return filepath.Abs(filepath.Join(p.place(r.o), p.files[0].Name))
}

// readRecord looks for what was written before.
func (r *kubeadmRun) readRecord(ctx context.Context, p *kubeadmPart) error {
	if r.dir == nil {
		return nil
	}
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return err
	}
	file, err := r.exportPath(p)
	if err != nil {
		return err
	}
	e, err := l.ExportAt(ctx, file)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && e.Format != formatKubeadm {
		return nil
	}
	if err != nil {
		return err
	}
	p.record, p.export = &kubeadmRecord{}, e
	return json.Unmarshal(e.Options, p.record)
}

// refuseForeign names what would be overwritten, or removed, and is not what this
// command wrote. What is neither a file nor a link is never replaced.
func (r *kubeadmRun) refuseForeign() error {
	var all []problem
	for _, p := range r.parts {
		for i := range p.files {
			f := &p.files[i]
			file := filepath.Join(p.place(r.o), f.Name)
			switch {
			case p.state == kubeadmKept:
			case f.special != nil:
				all = append(all, problem{f.special.Error(), "nothing was changed; move it away, or name another DIR"})
			case r.o.force || f.isOurs(p.record):
			case p.record != nil && !f.foreign:
				all = append(all, problem{file + ": somebody changed it since mtlsctl wrote it", foreignHint})
			default:
				all = append(all, problem{file + ": mtlsctl did not write it", foreignHint})
			}
		}
	}
	if len(all) > 0 {
		return &problemsError{all}
	}
	return nil
}

const foreignHint = "nothing was changed; move it away, name another DIR, or replace it with --force"

// isOurs reports whether a file may be written: nothing is in its place, or what
// was written before, or what would be.
func (f *kubeadmFile) isOurs(record *kubeadmRecord) bool {
	return !f.foreign && (f.found == "" || f.data != nil && f.found == sha256Hex(f.data) || record.has(f.Name, f.found))
}

// fill makes the contents of a part's files.
func (r *kubeadmRun) fill(p *kubeadmPart) (err error) {
	var data [][]byte
	switch {
	case p.ca != nil:
		data, err = r.caFiles(p)
	case p.leaf != nil:
		data, err = r.leafFiles(p)
	default:
		data, err = serviceAccountFiles(r.sa)
	}
	if err != nil {
		return err
	}
	for i := range p.files {
		if !p.files[i].gone {
			p.files[i].data = data[i]
		}
	}
	return nil
}

// caFiles are those of an authority. Its key is read only if it goes into the
// tree.
func (r *kubeadmRun) caFiles(p *kubeadmPart) ([][]byte, error) {
	var passphrase pkidir.Passphrase
	if !r.o.externalCA {
		passphrase = r.passphrase
	}
	b, err := r.dir.Bundle(p.name, passphrase)
	if err != nil {
		return nil, err
	}
	p.bundle, p.cert, p.source = b, b.Leaf(), r.caSource(b.Roots, b.Leaf())
	files := [][]byte{caPEM(b.Roots, b.Leaf()), nil}
	if r.o.externalCA {
		return files, nil
	}
	if b.Key == nil {
		missing := &pkidir.KeyMissingError{Authority: p.name, Path: r.dir.AuthorityKeyPath(p.name)}
		return nil, withHint(fmt.Errorf("%s.key cannot be written: %w", p.path, missing),
			"bring the key back to %s meanwhile, or leave the keys of all authorities out with --external-ca", missing.Path)
	}
	if files[1], err = kubeadmKey(b.Key); err != nil {
		return nil, fmt.Errorf("authority %q: %w", p.name, err)
	}
	return files, nil
}

// leafFiles are those of a certificate.
func (r *kubeadmRun) leafFiles(p *kubeadmPart) (files [][]byte, err error) {
	b := p.bundle
	if b == nil {
		if b, err = r.dir.Bundle(p.name, r.passphrase); err != nil {
			return nil, err
		}
		p.bundle = b
	}
	if b.Key == nil {
		return nil, withHint(fmt.Errorf("%s: the key of certificate %q is not here", p.path, p.name), "make it anew with 'mtlsctl renew %s'", p.name)
	}
	if b.Encoding, err = kubeadm.KeyEncoding(b.Key.Public()); err != nil {
		return nil, fmt.Errorf("certificate %q: %w", p.name, err)
	}
	p.cert, p.source = b.Leaf(), r.leafSource(p.leaf, b)
	if k := p.leaf.Kubeconfig; k != nil {
		out, err := export.Kubeconfig{Server: k.Server, Cluster: k.Cluster, User: k.User}.Export(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
		return [][]byte{out[0].Data}, nil
	}
	key, err := b.KeyPEM()
	return [][]byte{b.ChainPEM(), key}, err
}

// serviceAccountFiles are sa.pub and sa.key.
func serviceAccountFiles(key crypto.Signer) ([][]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	private, err := kubeadmKey(key)
	return [][]byte{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), private}, err
}

// kubeadmKey writes a key as kubeadm does.
func kubeadmKey(key crypto.Signer) ([]byte, error) {
	encoding, err := kubeadm.KeyEncoding(key.Public())
	if err != nil {
		return nil, err
	}
	return pki.MarshalKey(key, encoding, nil)
}

// entry is what the ledger gets of a part, before its files are written. Of one
// that stays it is the command that writes it again.
func (r *kubeadmRun) entry(p *kubeadmPart) (ledger.Export, error) {
	if p.state == kubeadmKept && !p.adopted {
		p.record.Next = r.o.command()
		options, err := json.Marshal(p.record)
		p.export.Options = options
		return p.export, err
	}
	record := kubeadmRecord{Files: map[string]string{}, Before: map[string]string{}, Source: p.source, Next: r.o.command()}
	var files []export.File
	for _, f := range p.files {
		if f.data != nil {
			record.Files[f.Name] = sha256Hex(f.data)
			files = append(files, export.File{Name: f.Name, Data: f.data})
		}
		if f.found != "" {
			record.Before[f.Name] = f.found
		}
	}
	file, err := r.exportPath(p)
	if err != nil {
		return ledger.Export{}, err
	}
	options, err := json.Marshal(record)
	return ledger.Export{Path: file, Name: p.name, Format: formatKubeadm, Options: options, SHA256: digestOf(files)}, err
}

// followKubeadm says of a part of a tree that it has a former certificate; nothing
// of one that is not there any more.
func followKubeadm(e *ledger.Export, at exportedAt) (exportedAt, error) {
	if _, err := os.Lstat(e.Path); errors.Is(err, fs.ErrNotExist) {
		return exportedAt{}, nil
	}
	var record kubeadmRecord
	if err := json.Unmarshal(e.Options, &record); err != nil {
		return at, err
	}
	at.Next = record.Next
	return at, nil
}

// command is what writes the tree again.
func (o *kubeadmOptions) command() string {
	dir := o.dir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	c := &o.cluster
	words := []string{"mtlsctl", "kubeadm", dir, "--node", c.Node, "--advertise-address", c.Advertise.String(), "--kubernetes-version", c.Version.String()}
	flag := func(on bool, flags ...string) {
		if on {
			words = append(words, flags...)
		}
	}
	flag(c.Port != kubeadm.DefaultPort, "--bind-port", fmt.Sprint(c.Port))
	flag(c.Endpoint.Host != "", "--control-plane-endpoint", c.Endpoint.String())
	for _, s := range c.SANs {
		flag(true, "--api-server-san", s.Value())
	}
	flag(c.ServiceCIDR() != kubeadm.DefaultServiceCIDR, "--service-cidr", c.ServiceCIDR())
	flag(c.DNSDomain != kubeadm.DefaultDNSDomain, "--dns-domain", c.DNSDomain)
	flag(c.Name != kubeadm.DefaultName, "--cluster-name", c.Name)
	for i, ca := range kubeadmCAs() {
		flag(o.cas[i] != o.defaultCA(ca), "--"+kubeadmFlag(ca), o.cas[i])
	}
	flag(o.key != "", "--key", string(o.key))
	flag(o.validity != 0, "--validity", profiles.FormatValidity(o.validity))
	flag(o.externalCA, "--external-ca")
	flag(c.ExternalEtcd, "--external-etcd")
	return shellLine(words)
}
