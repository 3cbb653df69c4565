package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/plan"
	"github.com/mtlsctl/mtlsctl/pki"
)

// formatApplied is how the ledger calls the files that apply writes.
const formatApplied = "apply"

// A sink is where the answers of apply go: Secrets, and CertificateRequests with
// their status.
type sink interface {
	// wants reports whether an answer has to be written again, although the
	// certificate is as it was.
	wants(ctx context.Context, x *plan.Action, serial string) (bool, error)
	// put writes one answer and returns the file; empty if there is none.
	put(ctx context.Context, x *plan.Action, serial string, b *pki.Bundle) (string, error)
	// flush makes what was put durable and known.
	flush(ctx context.Context) error
}

// newSink returns where --out says.
func (r *applyRun) newSink() sink {
	switch r.o.out {
	case "":
		return noSink{}
	case stdout:
		return &streamSink{r: r}
	}
	return &folderSink{r: r, dir: r.o.out}
}

// noSink keeps everything in the PKI directory.
type noSink struct{}

func (noSink) wants(context.Context, *plan.Action, string) (bool, error) { return false, nil }
func (noSink) put(context.Context, *plan.Action, string, *pki.Bundle) (string, error) {
	return "", nil
}
func (noSink) flush(context.Context) error { return nil }

// streamSink writes every answer to standard output.
type streamSink struct {
	r   *applyRun
	buf []byte
}

func (s *streamSink) wants(context.Context, *plan.Action, string) (bool, error) { return true, nil }

func (s *streamSink) put(ctx context.Context, x *plan.Action, _ string, b *pki.Bundle) (_ string, err error) {
	if s.buf, err = s.r.answer(s.buf, x, b); err != nil {
		return "", err
	}
	if len(s.buf) > 1<<20 {
		err = s.flush(ctx)
	}
	return "", err
}

func (s *streamSink) flush(context.Context) error {
	_, err := s.r.app.Stdout.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// answer appends what a certificate's manifest gets for an answer.
func (r *applyRun) answer(dst []byte, x *plan.Action, b *pki.Bundle) ([]byte, error) {
	var err error
	if x.Request != nil {
		answer := &export.CertificateRequest{
			Name: x.Request.Name, Namespace: x.Request.Namespace,
			Labels: x.Request.Labels, Annotations: x.Request.Annotations,
			Spec: x.Request.Spec, IssuedAt: r.app.Now(),
		}
		dst, err = answer.Append(dst, b, r.app.json)
	} else {
		dst, err = r.secretForm(x.Certificate).Append(dst, b, r.app.json)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", x.Name, err)
	}
	return dst, err
}

// secretForm says how the Secret of a Certificate looks.
func (r *applyRun) secretForm(c *manifest.Certificate) *export.CertManagerSecret {
	f := certManagerSecret(c.Key, &c.Spec)
	if k := c.Spec.Keystores; k != nil {
		if k.PKCS12 != nil && k.PKCS12.Create {
			f.PKCS12 = &export.Keystore{Profile: string(k.PKCS12.Profile)}
			f.PKCS12.Password = r.set.KeystorePassword(c, k.PKCS12.Password, k.PKCS12.PasswordSecretRef)
		}
		if k.JKS != nil && k.JKS.Create {
			f.JKS = &export.Keystore{}
			if k.JKS.Alias != nil {
				f.JKS.Alias = *k.JKS.Alias
			}
			f.JKS.Password = r.set.KeystorePassword(c, k.JKS.Password, k.JKS.PasswordSecretRef)
		}
	}
	return f
}

// certManagerSecret says how the Secret of the Certificate called name looks,
// but for keystores.
func certManagerSecret(name manifest.Key, spec *cmapi.CertificateSpec) *export.CertManagerSecret {
	f := &export.CertManagerSecret{
		Name: spec.SecretName, Namespace: name.Namespace, Certificate: name.Name,
		IssuerName: spec.IssuerRef.Name, IssuerKind: spec.IssuerRef.Kind, IssuerGroup: spec.IssuerRef.Group,
	}
	if t := spec.SecretTemplate; t != nil {
		f.Labels, f.Annotations = t.Labels, t.Annotations
	}
	for _, format := range spec.AdditionalOutputFormats {
		switch format.Type {
		case cmapi.CertificateOutputFormatDER:
			f.DER = true
		case cmapi.CertificateOutputFormatCombinedPEM:
			f.CombinedPEM = true
		}
	}
	return f
}

// folderSink writes a file for each answer.
type folderSink struct {
	r       *applyRun
	dir     string
	files   []export.File
	exports []ledger.Export
}

// folderBatch is how many files are written before they are made durable.
const folderBatch = 256

// file is what an answer's file is called. A namespace has no dots, so no two
// are called the same.
func (s *folderSink) file(x *plan.Action) string {
	name := ""
	if x.Request != nil {
		name = x.Request.Namespace + "." + x.Request.Name + ".certificaterequest"
	} else {
		name = x.Certificate.Namespace + "." + x.Certificate.Spec.SecretName
	}
	if s.r.app.json {
		return name + ".json"
	}
	return name + ".yaml"
}

// A fileRecord is what the ledger keeps of a file beside the digest of what is
// in it, to know without a key whether it is as it should be.
type fileRecord struct {
	Serial string `json:"serial"`
	Form   string `json:"form"` // digest of how it is to look, but for passwords
	// Before is the digest of what was in its place: the ledger has the file
	// before it is written.
	Before string `json:"before,omitempty"`
}

// A fileState says what is in the place of a file.
type fileState struct {
	digest string     // empty: nothing
	ours   bool       // written by an earlier apply, and not changed since
	record fileRecord // of what is there; zero if that was to be replaced
}

func (s *folderSink) state(ctx context.Context, x *plan.Action) (state fileState, err error) {
	path := filepath.Join(s.dir, s.file(x))
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, &pkidir.PathError{Path: path, Err: atomicfile.Reason(err)}
	}
	state.digest = digest(data)
	abs, err := filepath.Abs(path)
	if err != nil {
		return state, err
	}
	e, err := s.r.exportAt(ctx, abs)
	if errors.Is(err, ledger.ErrNotFound) {
		return state, nil
	}
	var record fileRecord
	if err == nil {
		err = json.Unmarshal(e.Options, &record)
	}
	switch state.digest {
	case e.SHA256:
		state.ours, state.record = true, record
	case record.Before:
		state.ours = true
	}
	return state, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (s *folderSink) wants(ctx context.Context, x *plan.Action, serial string) (bool, error) {
	state, err := s.state(ctx, x)
	if err != nil || state.digest == "" {
		return err == nil, err
	}
	if !state.ours && !s.r.o.force {
		return false, withHint(fmt.Errorf("%s %w, and not as mtlsctl wrote it", filepath.Join(s.dir, s.file(x)), errOutExists),
			"move it away, name another place with --out, or replace it with --force")
	}
	record, err := s.record(x, serial)
	return state.record.Serial != record.Serial || state.record.Form != record.Form, err
}

func (s *folderSink) record(x *plan.Action, serial string) (fileRecord, error) {
	var form any = x.Request
	if x.Certificate != nil {
		f := s.r.secretForm(x.Certificate)
		for _, k := range []*export.Keystore{f.PKCS12, f.JKS} {
			if k != nil {
				k.Password = nil
			}
		}
		form = f
	}
	data, err := json.Marshal(form)
	return fileRecord{Serial: serial, Form: digest(data)}, err
}

func (s *folderSink) put(ctx context.Context, x *plan.Action, serial string, b *pki.Bundle) (string, error) {
	data, err := s.r.answer(nil, x, b)
	if err != nil {
		return "", err
	}
	record, err := s.record(x, serial)
	if err != nil {
		return "", err
	}
	state, err := s.state(ctx, x)
	if err != nil {
		return "", err
	}
	record.Before = state.digest
	options, err := json.Marshal(record)
	if err != nil {
		return "", err
	}
	file := s.file(x)
	path := filepath.Join(s.dir, file)
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	s.files = append(s.files, export.File{Name: file, Data: data, Private: b.Key != nil})
	s.exports = append(s.exports, ledger.Export{Path: abs, Name: x.Name, Format: formatApplied, Options: options, SHA256: digest(data)})
	if len(s.files) >= folderBatch {
		err = s.flush(ctx)
	}
	return path, err
}

func (s *folderSink) flush(ctx context.Context) error {
	if len(s.files) == 0 {
		return nil
	}
	if err := s.r.dir.PutExports(ctx, s.exports); err != nil {
		return err
	}
	// What was in the way was looked at before anything was issued.
	if err := writeFiles(s.dir, s.files, true); err != nil {
		return withHint(err, "the certificates are in the PKI directory: the same command writes what is missing")
	}
	s.files, s.exports = s.files[:0], s.exports[:0]
	return nil
}
