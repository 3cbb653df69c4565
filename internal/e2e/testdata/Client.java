import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** Says what a TLS server greets it with. Stores come from the system properties javax.net.ssl.*. */
public class Client {
	public static void main(String[] args) throws IOException {
		int port = Integer.parseInt(args[0]);
		try (SSLSocket socket = (SSLSocket) SSLSocketFactory.getDefault().createSocket("localhost", port)) {
			SSLParameters parameters = socket.getSSLParameters();
			parameters.setEndpointIdentificationAlgorithm("HTTPS"); // check the name
			socket.setSSLParameters(parameters);
			socket.setSoTimeout(30_000);
			// With TLS 1.3, the server refuses a client after that believes to be done.
			System.out.println(new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine());
		} catch (IOException e) {
			System.err.println("refused: " + e);
			System.exit(1);
		}
	}
}
