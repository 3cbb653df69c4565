package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/export"
)

// p12JSON is a PKCS#12 file. Its certificates are in the list of all.
type p12JSON struct {
	MAC           p12ProtectionJSON `json:"mac"`
	Parts         []p12PartJSON     `json:"parts"`
	Opened        bool              `json:"opened"`
	EmptyPassword bool              `json:"emptyPassword"`
	FriendlyNames []string          `json:"friendlyNames"`
	ReadBy        []p12ReaderJSON   `json:"readBy"`
	NotReadBy     []p12ReaderJSON   `json:"notReadBy"`
	UnknownBy     []p12ReaderJSON   `json:"readByUnknown"`
}

// p12ProtectionJSON is an algorithm that the password drives.
type p12ProtectionJSON struct {
	Algorithm  string `json:"algorithm,omitempty"` // none if there is none
	Iterations int    `json:"iterations,omitempty"`
}

type p12PartJSON struct {
	p12ProtectionJSON
	Problem string       `json:"problem,omitempty"`
	Bags    []p12BagJSON `json:"bags"`
}

type p12BagJSON struct {
	p12ProtectionJSON
	Kind        string `json:"kind"` // key, certificate, other
	Name        string `json:"friendlyName,omitempty"`
	Certificate *int   `json:"certificate,omitempty"` // its place in the list of all
	Trusted     bool   `json:"trusted,omitempty"`     // Java trusts it
}

type p12ReaderJSON struct {
	Name  string `json:"name"` // as in export p12 --for
	Title string `json:"title"`
	Note  string `json:"note,omitempty"`
}

// freeIterations is how much work it may be to try the empty password unasked.
const freeIterations = 100_000

// readP12 reads a PKCS#12 file, with the password if there is one. An empty one
// needs no asking for.
func (r *contentReader) readP12(data []byte) error {
	info, err := export.InspectP12(data)
	if err != nil {
		return err
	}
	secret, err := r.secret()
	if err != nil {
		return err
	}
	switch {
	case secret != nil:
		if info, err = export.OpenP12(data, string(secret)); err != nil {
			return passwordError(err)
		}
	case work(info) <= freeIterations:
		if opened, err := export.OpenP12(data, ""); err == nil {
			info = opened
		}
	}
	r.p12 = info
	r.p12Empty = info.Opened && len(secret) == 0 && (info.MAC.Algorithm != "" || hasEncrypted(info))
	r.certificates = r.p12.Certificates()
	return nil
}

// work is how many iterations it takes to open a file.
func work(info *export.P12Info) int {
	n := min(info.MAC.Iterations, freeIterations+1)
	for _, c := range info.Contents {
		n += min(c.Protection.Iterations, freeIterations+1)
	}
	return n
}

func hasEncrypted(info *export.P12Info) bool {
	return slices.ContainsFunc(info.Contents, func(c export.P12Content) bool { return c.Protection.Algorithm != "" })
}

func describeP12(info *export.P12Info, emptyPassword bool) *p12JSON {
	protection := func(p export.P12Protection) p12ProtectionJSON {
		return p12ProtectionJSON{p.Algorithm, p.Iterations}
	}
	j := &p12JSON{
		MAC: protection(info.MAC), Parts: []p12PartJSON{}, Opened: info.Opened, EmptyPassword: emptyPassword,
		FriendlyNames: append([]string{}, info.Names()...),
	}
	place := 0
	for _, c := range info.Contents {
		part := p12PartJSON{p12ProtectionJSON: protection(c.Protection), Problem: c.Problem, Bags: []p12BagJSON{}}
		for _, b := range c.Bags {
			bag := p12BagJSON{p12ProtectionJSON: protection(b.Protection), Kind: b.Kind, Name: b.Name, Trusted: b.Trusted}
			if b.Certificate != nil {
				at := place
				bag.Certificate = &at
				place++
			}
			part.Bags = append(part.Bags, bag)
		}
		j.Parts = append(j.Parts, part)
	}
	yes, no := info.ReadBy()
	algorithms := p12Algorithms(j)
	j.ReadBy, j.NotReadBy, j.UnknownBy = readers(yes, algorithms), readers(no, algorithms), []p12ReaderJSON{}
	for _, name := range export.P12TargetNames() {
		t, err := export.ParseP12Target(name)
		must(err)
		for _, reader := range readers(t.Readers(), algorithms) {
			if !slices.Contains(slices.Concat(j.ReadBy, j.NotReadBy, j.UnknownBy), reader) {
				j.UnknownBy = append(j.UnknownBy, reader)
			}
		}
	}
	return j
}

// p12Algorithms are the names of all algorithms in the file.
func p12Algorithms(j *p12JSON) string {
	all := []string{j.MAC.Algorithm}
	for _, p := range j.Parts {
		all = append(all, p.Algorithm)
		for _, b := range p.Bags {
			all = append(all, b.Algorithm)
		}
	}
	return strings.Join(all, " ")
}

// readers leaves out the notes on algorithms that the file does not have.
func readers(all []export.P12Reader, algorithms string) []p12ReaderJSON {
	list := []p12ReaderJSON{}
	for _, r := range all {
		for _, cipher := range []string{"AES", "RC2"} {
			if strings.Contains(r.Note, cipher) && !strings.Contains(algorithms, cipher) {
				r.Note = ""
			}
		}
		list = append(list, p12ReaderJSON{r.Name, r.Title, r.Note})
	}
	return list
}

func (p p12ProtectionJSON) String() string {
	return export.P12Protection{Algorithm: p.Algorithm, Iterations: p.Iterations}.String()
}

func (a *app) writeP12(s *showJSON) error {
	style := a.style(a.Stdout)
	j := s.PKCS12
	if err := a.title("PKCS#12 file", passwordText(j)); err != nil {
		return err
	}
	t := newDetails(style)
	if j.MAC.Algorithm == "" {
		t.line("MAC", "none: nothing shows whether the file was changed")
	} else {
		t.line("MAC", j.MAC.String())
	}
	for i, p := range j.Parts {
		text := "not encrypted"
		if p.Algorithm != "" {
			text = p.String()
		}
		lines := []string{text}
		switch {
		case p.Problem != "":
			lines = append(lines, "not opened: "+p.Problem)
		case p.Algorithm != "" && !j.Opened:
			lines = append(lines, "not opened: it takes the password")
		}
		for _, b := range p.Bags {
			lines = append(lines, bagText(s, b))
		}
		t.line(fmt.Sprintf("Part %d", i+1), lines...)
	}
	t.line("Names", j.FriendlyNames...)
	t.list("Read by", readerTitles(j.ReadBy))
	t.list("Not by", readerTitles(j.NotReadBy))
	t.list("Unknown", readerTitles(j.UnknownBy))
	return t.Write(a.Stdout)
}

func passwordText(j *p12JSON) string {
	switch {
	case j.EmptyPassword:
		return "the password is empty: it protects nothing"
	case j.Opened:
		return "opened"
	}
	return "not opened"
}

func bagText(s *showJSON, b p12BagJSON) string {
	text := b.Kind
	switch {
	case b.Kind == export.BagKey && b.Algorithm == "":
		text = "key, not encrypted by itself"
	case b.Kind == export.BagKey:
		text = "key, " + b.String()
	case b.Certificate != nil:
		text = "certificate " + numbered(s, *b.Certificate)
	case b.Kind == export.BagCertificate:
		text = "certificate that cannot be read"
	case b.Kind == export.BagOther:
		text = "something else"
	}
	if b.Trusted {
		text += ", which Java trusts"
	}
	if b.Name != "" {
		text += fmt.Sprintf(", named %q", b.Name)
	}
	return text
}

func readerTitles(all []p12ReaderJSON) (titles []string) {
	for _, r := range all {
		text := r.Title
		if r.Note != "" {
			text += " (" + r.Note + ")"
		}
		titles = append(titles, text)
	}
	return titles
}
