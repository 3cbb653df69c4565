package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func TestForNATS(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "nats-server")
	var address string
	s.guard(t, &guarded{
		consumer: "nats",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			onFreePorts(t, 1, func(free []string) error {
				address = free[0]
				s.write(t, "nats.conf", []byte("listen: "+address+"\n"+config))
				p = s.start(t, "nats-server -c nats.conf")
				return p.await("nats to be ready", func() bool { return strings.Contains(p.log(), "Server is ready") })
			})
			return p
		},
		call: func(t *testing.T, c caller) output {
			config := s.tlsConfig(t, "alice")
			config.Certificates = nil
			if c.at != "" {
				config.Certificates = s.tlsConfigAt(t, c.at).Certificates
			}
			config.ServerName, _ = hostPort(t, address)
			out := output{line: "a client of " + address}
			if err := natsPing(address, config); err != nil {
				out.stderr, out.code = err.Error(), 1
				return out
			}
			out.stdout = "PONG"
			return out
		},
		answer:   "PONG",
		nobody:   "tls: client didn't provide a certificate",
		stranger: "certificate signed by unknown authority",
	})
}

// natsPing is a client of NATS: a server speaks first, in the clear.
func natsPing(address string, config *tls.Config) error {
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	info, err := bufio.NewReaderSize(conn, 1<<16).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(info, `"tls_verify":true`) {
		return fmt.Errorf("the server says %q", info)
	}
	secure := tls.Client(conn, config)
	if _, err := secure.Write([]byte("CONNECT {\"verbose\":false}\r\nPING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(secure).ReadString('\n')
	if err == nil && answer != "PONG\r\n" {
		err = fmt.Errorf("the server answers %q", answer)
	}
	return err
}
