package cmd

import (
	"fmt"
	"time"

	"github.com/mtlsctl/mtlsctl/export"
)

// jksJSON is a Java keystore. Its certificates are in the list of all.
type jksJSON struct {
	Opened  bool           `json:"opened"`
	Entries []jksEntryJSON `json:"entries"`
}

type jksEntryJSON struct {
	Kind         string     `json:"kind"` // key, certificate
	Alias        string     `json:"alias"`
	Created      *time.Time `json:"created,omitempty"`
	Certificates []int      `json:"certificates"` // their places in the list of all
	Unread       int        `json:"unreadable,omitempty"`
}

// readJKS reads a Java keystore, and with a password checks that it is whole.
func (r *contentReader) readJKS(data []byte) error {
	info, err := export.InspectJKS(data)
	if err != nil {
		return err
	}
	secret, err := r.secret()
	if err != nil {
		return err
	}
	if secret != nil {
		if info, err = export.OpenJKS(data, string(secret)); err != nil {
			return passwordError(err)
		}
	}
	r.jks, r.certificates = info, info.Certificates()
	return nil
}

func describeJKS(info *export.JKSInfo) *jksJSON {
	j := &jksJSON{Opened: info.Opened, Entries: []jksEntryJSON{}}
	place := 0
	for _, e := range info.Entries {
		entry := jksEntryJSON{Kind: export.BagCertificate, Alias: e.Alias, Certificates: []int{}, Unread: e.Unread}
		if e.Key {
			entry.Kind = export.BagKey
		}
		if !e.Created.IsZero() {
			entry.Created = &e.Created
		}
		for range e.Certificates {
			entry.Certificates = append(entry.Certificates, place)
			place++
		}
		j.Entries = append(j.Entries, entry)
	}
	return j
}

func (a *app) writeJKS(s *showJSON) error {
	opened := "not opened: without the password, nothing shows whether it was changed"
	if s.JKS.Opened {
		opened = "opened, and whole"
	}
	if err := a.title("Java keystore (JKS)", opened); err != nil {
		return err
	}
	t := newDetails(a.style(a.Stdout))
	for _, e := range s.JKS.Entries {
		lines := []string{"certificate that Java trusts"}
		if e.Kind == export.BagKey {
			lines[0] = "key, encrypted"
		}
		if e.Created != nil {
			lines[0] += ", of " + e.Created.Format(time.DateOnly)
		}
		for _, c := range e.Certificates {
			lines = append(lines, "certificate "+numbered(s, c))
		}
		if e.Unread > 0 {
			lines = append(lines, plural(e.Unread, "certificate")+" that cannot be read")
		}
		t.line(fmt.Sprintf("%q", e.Alias), lines...)
	}
	return t.Write(a.Stdout)
}
