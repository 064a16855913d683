package Storage;

# A fake object storage: records every connection and request, answers as the
# test scripts it, and judges what it saw (violations()).  Made by
# S3Abort->storage(); a process that accepts, one process a connection.
#
# Options:
#
#     name, host, region, service, keys => { access key => { secret, token } }
#     addressing     path (default) or virtual
#     tls            { cert, key [, ca (of clients), versions, weak] }
#     unix           a path that it listens on, besides
#     decoy          a back-end that must never see an abort
#     unchecked      true: the requests seen are not judged
#     any_date       true: but for the date that they are signed with
#     deletes        true: a decoy that DELETEs may come to, which are no aborts
#     sni            the name in SNI, a regex, if it is not that of Host
#     confirm        true: an abort may be followed by its ListParts
#     answer         what to answer, see below; default 204
#     greeting       bytes that are sent as soon as a connection is accepted
#     on_connection  sub ($sock, $n): replaces all of the below
#
# An answer is one of
#
#     204                    a status
#     '404 NoSuchUpload'     a status and the <Code> of an S3 error
#     "HTTP/1.1 ..."         bytes
#     { ... }                status, code, message, headers => [[n, v], ...],
#                            body, length (a false Content-Length), raw,
#                            chunked, no_length, delay (seconds before),
#                            split (bytes a write), pause (seconds between
#                            them), send (only so many bytes),
#                            then => close | rst | hang
#     sub ($request)         returns one of the above
#     [ ... ]                one after the other; the last one is repeated

###############################################################################

use v5.36;

use Fcntl qw/ :flock SEEK_SET /;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw/ strftime /;
use Socket;
use Time::HiRes qw/ time sleep /;

use SigV4;

my $JSON = JSON::PP->new->latin1->canonical->allow_blessed;

###############################################################################

sub new($class, %o) {
	my $self = bless {
		addressing => 'path',
		service => 's3',
		answer => $o{decoy} ? { status => 200, body => 'decoy' } : 204,
		mark => 0,
		barriers => {},
		%o
	}, $class;

	$self->{events} = "$self->{dir}/storage.$self->{name}.events";
	$self->{sequence} = "$self->{dir}/storage.$self->{name}.sequence";
	open my $fh, '>>', $self->{events} or die "$self->{events}: $!\n";

	$self->script();
	$self->start();

	return $self;
}

sub address($self) {
	return "127.0.0.1:$self->{port}";
}

# The text of a credentials file for it.

sub credentials($self, $profile = 'default') {
	my $key = $self->{keys}{$self->{access_key}};

	return "[$profile]\naws_access_key_id = $self->{access_key}\n"
		. "aws_secret_access_key = $key->{secret}\n"
		. ($key->{token} ? "aws_session_token = $key->{token}\n" : '');
}

sub start($self) {
	return if $self->{pid};

	$self->{listen} //= IO::Socket::INET->new(
		Proto => 'tcp',
		LocalAddr => $self->address(),
		Listen => 128,
		ReuseAddr => 1,
	)
		or die "storage $self->{name} on port $self->{port}: $!\n";

	if ($self->{unix}) {
		$self->{listen_unix} //= IO::Socket::UNIX->new(Listen => 128,
			Local => $self->{unix}) or die "$self->{unix}: $!\n";
		chmod 0666, $self->{unix};
	}

	# a process group of its own: one kill ends the connections, too

	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		setpgrp(0, 0);
		$self->{in_child}->($self);
		eval { $self->accept_connections(); 1 }
			or print STDERR "# storage $self->{name}: $@";
		POSIX::_exit(0);
	}

	setpgrp($pid, $pid);
	$self->{pid} = $pid;
	$self->{on_start}->($pid);
}

# Closes all connections; nothing listens on the port any more, unless "keep".

sub stop($self, %o) {
	my $pid = delete $self->{pid} or return;

	kill 'KILL', -$pid;
	waitpid $pid, 0;
	$self->{on_stop}->($pid);

	return if $o{keep};
	close $_ for grep { $_ } delete @$self{qw/ listen listen_unix /};

	# a process that was killed may hold the socket a moment longer

	for (1 .. 500) {
		return unless IO::Socket::INET->new($self->address());
		select undef, undef, undef, 0.01;
	}

	die "storage $self->{name} does not stop\n";
}

sub restart($self) {
	$self->stop(keep => 1);
	$self->start();
}

# From now on the storage answers this.  Open connections stay open, unless a
# sub answers.

sub answer($self, $answer) {
	$self->{answer} = $answer;
	$self->script();
	$self->restart() if $answer =~ /CODE/ || ref $answer eq 'ARRAY'
		&& grep { ref $_ eq 'CODE' } @$answer;
}

sub script($self) {
	my $answer = $self->{answer};
	my @list = ref $answer eq 'ARRAY' ? @$answer : ($answer);

	@{$self->{code}} = grep { ref $_ eq 'CODE' } @list;
	my $n = 0;
	@list = map { ref $_ eq 'CODE' ? { code => $n++ }
		: { is => $_ } } @list;

	open my $fh, '>', "$self->{sequence}.new" or die "sequence: $!\n";
	print $fh "0\n", $JSON->encode(\@list);
	close $fh;
	rename "$self->{sequence}.new", $self->{sequence}
		or die "sequence: $!\n";
}

###############################################################################
#
# What the storage saw

sub all_events($self) {
	open my $fh, '<', $self->{events} or die "$self->{events}: $!\n";
	seek $fh, $self->{read} //= 0, SEEK_SET;

	while (my $line = <$fh>) {
		last unless $line =~ /\n\z/;
		$self->{read} += length $line;
		my $e = $JSON->decode($line);

		# once: the port will be another's

		$self->{ours}{$e->{conn}} = 1 if $e->{event} eq 'connection'
			&& delete $self->{barriers}{$e->{peer}};
		push @{$self->{seen}}, $e unless $self->{ours}{$e->{conn}};
	}

	return @{$self->{seen} // []};
}

sub mark($self) {
	$self->{mark} = () = $self->all_events();
}

sub events($self, $event = undef) {
	my @e = $self->all_events();
	splice @e, 0, $self->{mark};
	return grep { !defined $event || $_->{event} eq $event } @e;
}

# The requests since the mark; each a hash of method, target, version,
# headers ([[n, v], ...]), header ({ lower-case name => value }), body, raw,
# conn, time.

sub sent($self) {
	return map { parse_request($_) } $self->events('request');
}

# A connection of our own: once it is accepted, all earlier ones have been.
# What came over them has been read then, too, or soon is.

sub settle($self) {
	my $s = IO::Socket::INET->new(PeerAddr => $self->address())
		or return;
	my $port = $s->sockport();
	my $end = time() + 10;

	$self->{barriers}{$port} = 1;
	close $s;

	while (time() < $end) {
		$self->all_events();
		last unless $self->{barriers}{$port};
		sleep 0.002;
	}

	die "storage $self->{name} does not accept connections\n"
		if $self->{barriers}{$port};

	$end = time() + 0.5;
	sleep 0.002 while $self->is_reading() && time() < $end;
}

sub is_reading($self) {
	my %open;

	for my $e ($self->all_events()) {
		$open{$e->{conn}} = $e->{event} eq 'connection';
	}

	return scalar grep { $_ } values %open;
}

sub parse_request($e) {
	my ($head, $body) = split /\r\n\r\n/, $e->{raw}, 2;
	my ($line, @lines) = split /\r\n/, $head, -1;
	my ($method, $target, $version) = split / /, $line, 3;
	my @headers = map { /^([^:]*):[ \t]*(.*?)[ \t]*\z/s ? [$1, $2]
		: [$_, ''] } @lines;

	return {
		%$e, method => $method, target => $target, version => $version,
		headers => \@headers, body => $body,
		header => { map { lc $_->[0] => $_->[1] } @headers },
	};
}

###############################################################################
#
# The wire invariant: why, if at all, a request is not the one request that
# may ever leave the gateway - or, with "confirm", the other one, ListParts of
# an upload that an abort was sent for

my %ALLOWED = map { $_ => 1 } qw/
	host x-amz-date x-amz-content-sha256 x-amz-security-token authorization
	user-agent connection content-length x-amz-expected-bucket-owner
	x-amz-request-payer x-amz-if-match-initiated-time
/;

my @REQUIRED = qw/
	host x-amz-date x-amz-content-sha256 authorization user-agent connection
	content-length
/;

sub violations($self) {
	my @events = $self->{unchecked} ? () : $self->all_events();

	$self->{aborted} = {};

	return (map { my $r = parse_request($_); map { "$_\n$r->{raw}" }
		$self->{decoy} ? $self->decoy_violations($r)
		: $self->request_violations($r) }
		grep { $_->{event} eq 'request' || $_->{event} eq 'partial' }
		@events),
		(map { "the storage died: $_->{why}" }
		grep { $_->{event} eq 'died' } @events),
		(map { "SNI \"$_->{sni}\" for $self->{host}" }
		grep { $_->{event} eq 'tls' && !$self->{decoy}
		&& !$self->is_sni($_) } @events);
}

# OpenSSL does not say what a TLS 1.2 session was resumed for.

sub is_sni($self, $e) {
	my $sni = $e->{sni};
	my $host = $self->{host} =~ s/:\d+\z//r;

	return 1 if $e->{reused} && $e->{version} eq 'TLSv1_2';
	return $sni =~ /^$self->{sni}\z/ if defined $self->{sni};
	return $self->{addressing} eq 'virtual' ? $sni =~ /^.+\.\Q$host\E\z/
		: $sni eq $host;
}

sub signatures($self) {
	return map { ($_->{raw} // '') =~ /Signature=([0-9a-f]{64})/g }
		$self->all_events();
}

sub decoy_violations($self, $r) {
	my ($query) = ($r->{target} // '') =~ /\?(.*)/s;

	return "a DELETE came to a back-end"
		if ($r->{method} // '') eq 'DELETE' && !$self->{deletes};
	return map { "an abort came to a back-end: $_" }
		grep { SigV4::uri_decode($_) =~ /^uploadid(?:=|\z)/i }
		($r->{method} // '') eq 'DELETE' ? split /[&;?]/, $query // ''
		: ();
}

sub request_violations($self, $r) {
	my $path = qr!(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})+!;
	my $value = qr!(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})+!;
	my $host = $r->{header}{host} // '';
	my $query = 'uploadId=';
	my ($bucket, $key, $id, @v);

	return 'incomplete request' if $r->{event} eq 'partial';

	my $upload = "$host $r->{target}";

	if ($self->{confirm} && $r->{method} eq 'GET') {
		$query = 'max-parts=1&uploadId=';
		$upload =~ s/\?max-parts=1&/?/;

		push @v, 'ListParts without an abort'
			unless $self->{aborted}{$upload};
		push @v, 'ListParts with a header of aborts'
			if exists $r->{header}{'x-amz-if-match-initiated-time'};

	} else {
		push @v, "method $r->{method}" if $r->{method} ne 'DELETE';
		$self->{aborted}{$upload} = 1;
	}

	push @v, "version $r->{version}" if $r->{version} ne 'HTTP/1.1';
	push @v, 'body' if $r->{body} ne '';
	push @v, 'control bytes' if $r->{raw} =~ s/\r\n//gr =~ /[\0-\x1f\x7f]/;

	if ($self->{addressing} eq 'virtual') {
		($key, $id) = $r->{target} =~ m!^/($path)\?\Q$query\E($value)\z!;
		($bucket) = $host =~ /^(.*)\.\Q$self->{host}\E\z/s;
		push @v, "Host is not BUCKET.$self->{host}"
			unless defined $bucket;

	} else {
		($bucket, $key, $id) = $r->{target}
			=~ m!^/([^/]+)/($path)\?\Q$query\E($value)\z!;
		push @v, "Host is not $self->{host}" if $host ne $self->{host};
	}

	push @v, defined $key ? () : "target $r->{target}",
		defined $bucket ? bucket_violations($bucket) : (),
		defined $key ? key_violations($key) : (),
		defined $id ? id_violations($id) : (),
		$self->header_violations($r);

	return @v;
}

sub bucket_violations($bucket) {
	return $bucket =~ /^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]\z/
		&& $bucket !~ /^\d+(?:\.\d+){3}\z/ ? () : "bucket $bucket";
}

sub id_violations($wire) {
	my $id = SigV4::uri_decode($wire);
	my @v;

	push @v, 'upload id' if $id !~ /^[A-Za-z0-9._~+=\-]{1,1024}\z/
		|| $id =~ /^\.\.?\z/;
	push @v, 'encoding of the upload id' if SigV4::uri_encode($id) ne $wire;

	return @v;
}

sub key_violations($wire) {
	my @v;
	my $key = SigV4::uri_decode($wire);

	push @v, 'encoding of the key'
		if SigV4::uri_encode($key, '/') ne $wire;
	push @v, 'key of slashes' if $key !~ m{[^/]};
	push @v, 'key too long' if length $key > 1024;
	push @v, 'control character in the key'
		if $key =~ /[\x00-\x1f\x7f]/;
	push @v, 'dot segment in the key' if $key =~ m!(?:^|/)\.\.?(?:/|\z)!;
	push @v, 'key is not UTF-8' unless utf8::decode(my $copy = $key);

	return @v;
}

sub header_violations($self, $r) {
	my %n;
	$n{lc $_->[0]}++ for @{$r->{headers}};

	my @v = map { "header $_" } grep { !$ALLOWED{$_} } sort keys %n;
	push @v, map { "header $_ $n{$_} times" } grep { $n{$_} > 1 }
		sort keys %n;
	push @v, map { "no header $_" } grep { !$n{$_} } @REQUIRED;

	push @v, "Content-Length: $r->{header}{'content-length'}"
		if ($r->{header}{'content-length'} // '0') ne '0';
	push @v, "User-Agent: $r->{header}{'user-agent'}"
		if ($r->{header}{'user-agent'} // '')
		ne 'ngx_http_s3_abort_module';
	push @v, "Connection: $r->{header}{connection}"
		if ($r->{header}{connection} // '')
		!~ /^(?:keep-alive|close)\z/;
	push @v, 'x-amz-content-sha256'
		if ($r->{header}{'x-amz-content-sha256'} // '')
		ne SigV4::EMPTY_SHA256;

	my $error = SigV4::verify({ %$r, keys => { map {
		$_ => $self->{keys}{$_}{secret} } keys %{$self->{keys}} },
		region => $self->{region}, service => $self->{service} },
		\my %p);
	return @v, "signature: $error" if $error;

	my $token = $self->{keys}{$p{access_key}}{token};
	push @v, 'x-amz-security-token' if ($token // '')
		ne ($r->{header}{'x-amz-security-token'} // '');

	my %signed = map { $_ => 1 } @{$p{signed}};
	push @v, map { "header $_ is not signed" } grep { !$signed{$_} }
		grep { /^(?:host|x-amz-.*)\z/ } sort keys %n;

	my $time = SigV4::amz_epoch($p{time});
	push @v, "x-amz-date $p{time}" if !defined $time
		|| !$self->{any_date} && abs($time - $r->{time}) > 60;

	return @v;
}

###############################################################################
#
# The server

sub accept_connections($self) {
	my $parent = getppid();
	my $n = 0;
	my $context;

	$SIG{CHLD} = 'IGNORE';
	$SIG{PIPE} = 'IGNORE';
	$SIG{$_} = 'DEFAULT' for qw/ INT TERM ALRM /;

	$context = $self->tls_context() if $self->{tls};

	my $listen = IO::Select->new(grep { $_ }
		@$self{qw/ listen listen_unix /});

	while (getppid() == $parent) {
		my ($ready) = $listen->can_read(0.5) or next;
		my ($sock, $address) = $ready->accept() or next;
		my ($peer, $from) = sockaddr_family($address) == AF_INET
			? sockaddr_in($address) : ('');

		syswrite $sock, $self->{greeting} if $self->{greeting};
		$self->{conn} = "$$." . ++$n;
		$self->record('connection', peer => $peer,
			from => $from ? inet_ntoa($from) : 'unix');

		next if fork();

		close $_ for $listen->handles();
		alarm 60;
		eval { $self->connection($sock, $n, $context); 1 }
			or $self->record('died', why => "$@");
		POSIX::_exit(0);
	}
}

sub tls_context($self) {
	require IO::Socket::SSL;

	my $tls = $self->{tls};
	my @files = (SSL_cert_file => $tls->{cert},
		SSL_key_file => $tls->{key});

	# for what OpenSSL does not even load otherwise

	@files = (SSL_create_ctx_callback => sub ($context) {
		Net::SSLeay::CTX_set_security_level($context, 0);
		Net::SSLeay::CTX_use_certificate_chain_file($context,
			$tls->{cert});
		Net::SSLeay::CTX_use_PrivateKey_file($context, $tls->{key},
			Net::SSLeay::FILETYPE_PEM());
	}, SSL_cert_file => '', SSL_cipher_list => 'DEFAULT:@SECLEVEL=0')
		if $tls->{weak};

	return IO::Socket::SSL::SSL_Context->new(
		SSL_server => 1,
		SSL_session_id_context => 'storage',
		SSL_verify_mode => $tls->{ca} ? 3 : 0,
		$tls->{ca} ? (SSL_ca_file => $tls->{ca}) : (),
		$tls->{versions} ? (SSL_version => $tls->{versions}) : (),
		@files,
	) || die "TLS context: $IO::Socket::SSL::SSL_ERROR\n";
}

sub connection($self, $sock, $n, $context) {
	if ($context) {
		my $ok = IO::Socket::SSL->start_SSL($sock, SSL_server => 1,
			SSL_reuse_ctx => $context, Timeout => 30);

		return $self->record('tls_error',
			why => "$IO::Socket::SSL::SSL_ERROR") unless $ok;

		$self->record('tls', sni => $sock->get_servername() // '',
			reused => $sock->get_session_reused() ? 1 : 0,
			version => $sock->get_sslversion(),
			cipher => $sock->get_cipher(),
			client => $sock->peer_certificate('commonName') // '');
	}

	return $self->{on_connection}->($sock, $n) if $self->{on_connection};

	my $buffer = '';

	while (defined(my $raw = $self->read_request($sock, \$buffer))) {
		$self->record('request', raw => $raw);
		my $request = parse_request({ raw => $raw });
		last unless $self->respond($sock, $request, \$buffer);
	}

	$self->record('partial', raw => $buffer) if length $buffer;
	$self->record('close');
}

sub record($self, $event, %o) {
	open my $fh, '>>', $self->{events} or return;
	flock $fh, LOCK_EX;
	syswrite $fh, $JSON->encode({ event => $event, time => time(),
		conn => $self->{conn}, %o }) . "\n";
	close $fh;
}

# Also for on_connection scripts: returns the bytes of one request, or undef
# at the end of the connection.

sub read_request($self, $sock, $buffer) {
	my $length;

	while (1) {
		if ($$buffer =~ /\r\n\r\n/) {
			my $head = $+[0];
			my ($body) = substr($$buffer, 0, $head)
				=~ /^Content-Length:\s*(\d+)/mi;
			my $chunked = substr($$buffer, 0, $head)
				=~ /^Transfer-Encoding:/mi;

			$length = $head + ($body // 0);
			$length = $+[0] if $chunked
				&& substr($$buffer, $head) =~ /(?:^|\r\n)0\r\n/;
			$length += $head if $chunked && $length < $head;

			return substr($$buffer, 0, $length, '')
				if length $$buffer >= $length;
		}

		return undef unless sysread $sock, $$buffer, 65536,
			length $$buffer;
	}
}

###############################################################################

# Returns true if the connection may carry another request.  What came behind
# this one is in the buffer.

sub respond($self, $sock, $request, $buffer) {
	my ($answer, $n) = $self->next_answer($request);
	my $bytes = $answer->{raw} // $self->response($answer, $n);

	sleep $answer->{delay} if $answer->{delay};
	$bytes = substr $bytes, 0, $answer->{send} if defined $answer->{send};

	write_bytes($sock, $bytes, $answer->{split}, $answer->{pause})
		or return 0;

	my $then = $answer->{then} // '';
	sysread $sock, $$buffer, 65536, length $$buffer if $then eq 'hang';

	if ($then eq 'rst') {
		$self->record('partial', raw => $$buffer) if length $$buffer;
		reset_connection($sock);
	}

	return 0 if $then || $answer->{no_length};
	return ($request->{header}{connection} // '') !~ /close/i;
}

sub write_bytes($sock, $bytes, $split, $pause) {
	$split //= length $bytes || 1;

	while (length $bytes) {
		my $part = substr $bytes, 0, $split, '';

		while (length $part) {
			my $n = syswrite $sock, $part or return 0;
			substr $part, 0, $n, '';
		}

		sleep($pause // 0.001) if length $bytes;
	}

	return 1;
}

sub reset_connection($sock) {
	setsockopt $sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
	POSIX::_exit(0);
}

sub next_answer($self, $request) {
	open my $fh, '+<', $self->{sequence} or die "$self->{sequence}: $!\n";
	flock $fh, LOCK_EX;
	chomp(my ($n, $list) = <$fh>);
	$list = $JSON->decode($list);
	seek $fh, 0, SEEK_SET;
	print $fh $n + 1, "\n", $JSON->encode($list);
	close $fh;

	my $e = $list->[$n < @$list ? $n : -1];
	my $answer = exists $e->{code} ? $self->{code}[$e->{code}]->($request)
		: $e->{is};

	return ($answer, $n) if ref $answer;
	return ({ status => $1, $2 ? (code => $2) : () }, $n)
		if $answer =~ /^(\d{3})(?: (\w+))?\z/;
	return ({ raw => $answer }, $n);
}

# A response with all that a storage says and that no tenant may see.

sub response($self, $a, $n) {
	my $body = $a->{body} // ($a->{status} < 300 ? '' : error_xml($a, $n));
	my @lines = ("HTTP/1.1 $a->{status} " . ($a->{reason} // 'Answer'),
		'Date: ' . strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime));

	push @lines, 'Accept-Ranges: bytes',
		'Server: storage-internals',
		"x-amz-request-id: STORAGE-$n",
		'x-amz-id-2: storage-internals',
		'x-clv-s3-version: storage-internals',
		'X-Accel-Redirect: /storage-internals',
		'Set-Cookie: storage=storage-internals',
		length $body ? 'Content-Type: application/xml' : ()
		unless $self->{decoy};

	push @lines, map { "$_->[0]: $_->[1]" } @{$a->{headers} // []};

	if ($a->{chunked}) {
		push @lines, 'Transfer-Encoding: chunked';
		$body = join '', (map { sprintf "%x\r\n%s\r\n", length $_, $_ }
			$body =~ /.{1,1000}/gs), "0\r\n\r\n";

	} elsif ($a->{no_length}) {
		push @lines, 'Connection: close';

	} elsif ($a->{status} != 204) {
		push @lines, 'Content-Length: '
			. ($a->{length} // length $body);
	}

	return join("\r\n", @lines, '', $body);
}

sub error_xml($a, $n) {
	my $code = $a->{code} // 'StorageError';
	my $message = $a->{message} // 'storage-internals';

	return qq!<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n!
		. "<Error><Code>$code</Code><Message>$message</Message>"
		. '<Resource>/storage-internals/key</Resource>'
		. "<RequestId>STORAGE-$n</RequestId>"
		. '<AWSAccessKeyId>storage-internals</AWSAccessKeyId>'
		. '<StringToSign>storage-internals</StringToSign>'
		. "<httpStatusCode>$a->{status}</httpStatusCode></Error>";
}

###############################################################################

1;
