package export

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"path"
	"strings"
)

// etcdConfig: members look at the address that another comes from, which must be
// an IP address of its certificate or one of its DNS names (gh/etcd-io/etcd
// client/pkg/transport/listener_tls.go). Its CRL file is one CRL in DER: there is
// no place for those of a chain.
func etcdConfig(p *Placement) string {
	if p.Role() == Client {
		text := "etcdctl --endpoints https://<HOST>:2379 --cacert <ca.crt> --cert <tls.crt> --key <tls.key> endpoint health\n"
		if p.user() != "" {
			text += "# With authentication on, the common name is the user: etcdctl user add <USER> --no-password\n"
		}
		return p.fill(ShellWord, text, host, host, "USER", ShellWord(p.user()))
	}
	leaf := p.Bundle.Leaf()
	var names []string
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, leaf.DNSNames...)
	return p.fill(inEnvironment, `
# The environment of etcd, as in /etc/default/etcd; --cert-file ... are the same as flags.
# With URLs that begin with http://, these files are ignored.
ETCD_CERT_FILE=<tls.crt>
ETCD_KEY_FILE=<tls.key>
ETCD_TRUSTED_CA_FILE=<ca.crt>
ETCD_CLIENT_CERT_AUTH=true
# Other members let it in from these addresses, or those of these names: <NAMES>
ETCD_PEER_CERT_FILE=<tls.crt>
ETCD_PEER_KEY_FILE=<tls.key>
ETCD_PEER_TRUSTED_CA_FILE=<ca.crt>
ETCD_PEER_CLIENT_CERT_AUTH=true
`, "NAMES", printable(strings.Join(names, ", ")))
}

// inEnvironment is [inQuotes] for the shell and for systemd (systemd.exec(5),
// EnvironmentFile=).
func inEnvironment(path string) string {
	return strings.NewReplacer("$", `\$`, "`", "\\`").Replace(inQuotes(path))
}

// postgresConfig: a certificate is asked for by a line of pg_hba.conf, and the
// common name is compared with the user; a CRL file wants one of each CA; libpq
// passes over a certificate that is not there, and takes a key that others cannot
// read (PostgreSQL manual, 19.9 and 34.19; gh/postgres/postgres
// src/interfaces/libpq/fe-secure-openssl.c).
func postgresConfig(p *Placement) string {
	switch p.Role() {
	case Server, Peer:
		return p.fill(inPostgres, `
ssl = on
ssl_cert_file = '<server.crt>'
ssl_key_file = '<server.key>'
ssl_ca_file = '<root.crt>'
ssl_crl_file = '<root.crl>'
# The key must belong to the user that PostgreSQL runs as, or to root with mode 0640.
# In pg_hba.conf, for clients with a certificate whose common name is their user:
# hostssl all all all cert
`)
	case Client:
		words := "host=<HOST> dbname=postgres user=<USER> sslmode=verify-full" +
			" sslcert=<postgresql.crt> sslkey=<postgresql.key> sslrootcert=<root.crt>"
		if p.CRL {
			words += " sslcrl=<root.crl>"
		}
		words = p.fill(inConninfo, words, host, host, "USER", inConninfo(p.user()))
		return "# Under these names in ~/.postgresql, libpq finds the files by itself.\npsql " + ShellWord(words)
	}
	words := "host=<HOST> dbname=postgres sslmode=verify-full sslrootcert=<root.crt>"
	if p.CRL {
		words += " sslcrl=<root.crl>"
	}
	return "psql " + ShellWord(p.fill(inConninfo, words, host, host))
}

// inPostgres is for what stands between the quotes of postgresql.conf (PostgreSQL
// manual, 19.1.2; gh/postgres/postgres src/backend/utils/misc/guc-file.l).
func inPostgres(path string) string { return strings.NewReplacer(`\`, `\\`, "'", "''").Replace(path) }

// inConninfo quotes a word of a connection string (PostgreSQL manual, 34.1.1.1).
func inConninfo(word string) string {
	if !strings.ContainsAny(word, ` '\`) && word != "" {
		return word
	}
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(word) + "'"
}

// mysqlConfig: MySQL and MariaDB differ in the word for looking at the server's
// name; "loose-" is for words that are not known to all; a CRL file wants one of
// each CA (MySQL manual, 6.3; gh/MariaDB/server vio/viosslfactories.c).
func mysqlConfig(p *Placement) string {
	switch p.Role() {
	case Server, Peer:
		return p.fill(inQuotes, `
[mysqld]
ssl_ca = <ca.pem>
ssl_cert = <server-cert.pem>
ssl_key = <server-key.pem>
ssl_crl = <crl.pem>
require_secure_transport = ON
# Who must have a certificate is said of each user: ALTER USER ... REQUIRE X509
`)
	case Client:
		return p.fill(inQuotes, `
[client]
ssl_ca = <ca.pem>
ssl_cert = <client-cert.pem>
ssl_key = <client-key.pem>
ssl_crl = <crl.pem>
loose-ssl-mode = VERIFY_IDENTITY # MySQL
loose-ssl-verify-server-cert # MariaDB
# On the server: CREATE USER ... REQUIRE <WHO>
`, "WHO", requireSubject(p.Bundle.Leaf()))
	}
	return p.fill(inQuotes, `
[client]
ssl_ca = <ca.pem>
ssl_crl = <crl.pem>
loose-ssl-mode = VERIFY_IDENTITY # MySQL
loose-ssl-verify-server-cert # MariaDB
`)
}

// requireSubject is what a user of MySQL is bound to: the subject as OpenSSL's
// X509_NAME_oneline writes it, or any certificate if that is not plain.
func requireSubject(c *x509.Certificate) string {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &seq); err != nil || len(rest) > 0 || len(seq) == 0 {
		return "X509"
	}
	words := map[string]string{
		"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
		"0.9.2342.19200300.100.1.25": "DC",
	}
	subject := ""
	for _, rdn := range seq {
		for _, a := range rdn {
			value, ok := a.Value.(string)
			word := words[a.Type.String()]
			if !ok || word == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '\'' || r == '\\' }) {
				return "X509"
			}
			subject += "/" + word + "=" + value
		}
	}
	return "SUBJECT '" + subject + "'"
}

// mongodbConfig: certificate and key are one file; a user is the subject, by RFC
// 2253 (MongoDB manual, "x.509").
func mongodbConfig(p *Placement) string {
	pem := path.Base(p.Name) + ".pem"
	switch p.Role() {
	case Server, Peer:
		text := fmt.Sprintf(`
net:
  tls:
    mode: requireTLS
    certificateKeyFile: <%s>
    CAFile: <ca.pem>
    CRLFile: <crl.pem>
`, pem)
		if p.Role() == Peer {
			return p.fill(yamlWord, text+`
# Members know each other by O, OU and DC, which no client may have in common with them.
security:
  clusterAuthMode: x509
`)
		}
		return p.fill(yamlWord, text+"# For clusterAuthMode x509, members need 'mtlsctl issue peer'.\n")
	case Client:
		return p.fill(ShellWord, fmt.Sprintf(`
mongosh --host <HOST> --tls --tlsCertificateKeyFile <%s> --tlsCAFile <ca.pem> --authenticationDatabase '$external' --authenticationMechanism MONGODB-X509
# Once, by an administrator:
# db.getSiblingDB("$external").runCommand({createUser: <SUBJECT>, roles: [{role: "readWrite", db: "test"}]})
`, pem), host, host, "SUBJECT", fmt.Sprintf("%q", subjectOf(p.Bundle.Leaf())))
	}
	return p.fill(ShellWord, "mongosh --host <HOST> --tls --tlsCAFile <ca.pem>", host, host)
}

// subjectOf writes the subject by RFC 2253, as it is in the certificate.
func subjectOf(c *x509.Certificate) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.RawSubject, &seq); err != nil {
		return ""
	}
	return printable(seq.String())
}

// redisConfig: replicas and members of a cluster show the server's certificate as
// clients; names are looked at by none (gh/redis/redis TLS.md).
func redisConfig(p *Placement) string {
	switch p.Role() {
	case Server, Peer:
		text := `
port 0
tls-port 6379
tls-cert-file <tls.crt>
tls-key-file <tls.key>
tls-ca-cert-file <ca.crt>
tls-auth-clients yes
`
		if p.Role() == Peer {
			return p.fill(inQuotes, text+"tls-replication yes\n# In a cluster: tls-cluster yes\n")
		}
		return p.fill(inQuotes, text+"# tls-replication and tls-cluster show this certificate to servers: that takes 'mtlsctl issue peer'.\n")
	case Client:
		return p.fill(ShellWord, "redis-cli -h <HOST> --tls --cacert <ca.crt> --cert <tls.crt> --key <tls.key> ping", host, host)
	}
	return p.fill(ShellWord, "redis-cli -h <HOST> --tls --cacert <ca.crt> ping", host, host)
}
