package export

import (
	"encoding/base64"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// Env writes the files of a bundle as variables for CI: a line
// PREFIX_TLS_CRT_B64=... for the certificate and its chain, PREFIX_TLS_KEY_B64
// for the key, PREFIX_CA_CRT_B64 for the roots, each the PEM text in base64
// without line breaks, which is what GitLab can mask. A bundle without a key, or
// without roots, goes without their line. The file is called after the
// certificate.
//
// The lines are a dotenv file, and what GitHub reads from $GITHUB_ENV. A prefix
// that shells or GitHub do not take is an [*OptionError].
type Env struct {
	Prefix string // empty: [EnvPrefix] of the certificate's name
	// Shell puts "export " in front of each line, for a shell to source.
	Shell bool
}

// Export implements [Format].
func (f Env) Export(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	name := leafName(b)
	if f.Prefix == "" {
		f.Prefix = EnvPrefix(name)
	}
	if problem := prefixProblem(f.Prefix); problem != "" {
		return nil, &OptionError{"prefix", f.Prefix, problem, EnvPrefix(f.Prefix)}
	}
	var key []byte
	if b.Key != nil {
		var err error
		if key, err = b.KeyPEM(); err != nil {
			return nil, err
		}
	}
	var out []byte
	for _, v := range []struct {
		name string
		data []byte
	}{{"TLS_CRT", b.ChainPEM()}, {"TLS_KEY", key}, {"CA_CRT", b.RootsPEM()}} {
		if len(v.data) == 0 {
			continue
		}
		if f.Shell {
			out = append(out, "export "...)
		}
		out = append(out, f.Prefix+"_"+v.name+"_B64="...)
		out = base64.StdEncoding.AppendEncode(out, v.data)
		out = append(out, '\n')
	}
	return []File{{SecretName(name) + ".env", out, key != nil}}, nil
}

// EnvPrefix makes the prefix of variables of a certificate's name: upper case,
// with '_' for what is no letter or digit, as in API_EXAMPLE_COM. A name that
// would begin with a digit, or with what GitHub or Gitea keep for themselves, gets
// CERT_ in front; of one with nothing to keep CERT is made.
func EnvPrefix(certificate string) string {
	name := strings.Join(strings.FieldsFunc(strings.ToUpper(certificate), func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}), "_")
	switch {
	case name == "":
		return "CERT"
	case prefixProblem(name) != "":
		return "CERT_" + name
	}
	return name
}

// prefixProblem says why variables cannot begin so, or returns "". Names are
// those of POSIX shells; GitHub and Gitea refuse some of them (the pages "Secrets
// reference" and "Secrets" of their documentation).
func prefixProblem(s string) string {
	for i, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z', c == '_', i > 0 && '0' <= c && c <= '9':
		default:
			return "allowed are upper-case letters, digits and '_', not a digit in front"
		}
	}
	for _, taken := range []string{"GITHUB_", "GITEA_"} {
		if strings.HasPrefix(s+"_", taken) {
			return "no variable of one's own may begin with " + taken
		}
	}
	return ""
}
