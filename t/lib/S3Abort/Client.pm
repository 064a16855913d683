package S3Abort::Client;

# A connection to the gateway, and the strict parsing of what it answers.
# Made by S3Abort->connect():
#
#     my $client = $t->connect();
#     $client->send($bytes);            # or bytewise: send($bytes, 1)
#     my $answer = $client->answer();   # see S3Abort->request()

###############################################################################

use v5.36;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw/ time sleep /;

###############################################################################

sub new($class, %o) {
	my $sock = $o{unix} ? IO::Socket::UNIX->new(Peer => $o{unix})
		: IO::Socket::INET->new(
			PeerAddr => "127.0.0.1:$o{port}",
			$o{from} ? (LocalAddr => $o{from}) : (),
		);

	$sock or die "connection to nginx: $!\n";

	if ($o{tls}) {
		require IO::Socket::SSL;
		IO::Socket::SSL->start_SSL($sock, SSL_verify_mode => 0,
			$o{tls}{sni} ? (SSL_hostname => $o{tls}{sni}) : (),
			$o{tls}{cert} ? (SSL_cert_file => $o{tls}{cert},
				SSL_key_file => $o{tls}{key}) : (),
			Timeout => 10)
			or die "TLS to nginx: $IO::Socket::SSL::SSL_ERROR\n";
	}

	return bless { %o, sock => $sock, buffer => '', methods => [] }, $class;
}

sub send($self, $bytes, $split = 0) {
	push @{$self->{methods}}, $1 if $bytes =~ /^([A-Z]+) /;
	$self->{test}->seen($bytes);

	$split ||= length $bytes || 1;

	while (length $bytes) {
		my $part = substr $bytes, 0, $split, '';
		$self->{sock}->syswrite($part) or return;
		sleep 0.001 if length $bytes;
	}
}

sub read_more($self) {
	my $sock = $self->{sock};
	my $left = $self->{end} - time();

	return 0 if $left <= 0;

	unless ($sock->can('pending') && $sock->pending()) {
		IO::Select->new($sock)->can_read($left) or return 0;
	}

	return sysread $sock, $self->{buffer}, 65536, length $self->{buffer};
}

# The next answer; interim ones (1xx) are skipped.  At the end of the
# connection, or of the time, without one: a status of "".

sub answer($self, $timeout = undef) {
	my $method = shift @{$self->{methods}} // 'DELETE';

	$self->{end} = time() + ($timeout // $self->{timeout});

	while (1) {
		my $length = answer_length($self->{buffer}, $method);
		my $complete = defined $length
			&& length $self->{buffer} >= $length;

		next if !$complete && $self->read_more();

		my $raw = substr $self->{buffer}, 0,
			$length // length $self->{buffer}, '';

		next if $complete && $raw =~ /^HTTP\S+ 1\d\d/;
		return parsed($self->{test}, $raw, $method, $complete);
	}
}

# True once the gateway has closed the connection and sent nothing more.

sub closed($self, $timeout = 10) {
	$self->{end} = time() + $timeout;
	1 while $self->read_more();
	return time() < $self->{end} && $self->{buffer} eq '';
}

sub close($self) {
	CORE::close $self->{sock};
}

# Ends the connection with a reset.

sub reset($self) {
	setsockopt $self->{sock}, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
		pack('ii', 1, 0);
	CORE::close $self->{sock};
}

###############################################################################

# The length of the answer at the start of $raw; undef if it is not known yet.

sub answer_length($raw, $method) {
	$raw =~ /\r\n\r\n/ or return undef;

	my $head = substr $raw, 0, $+[0];
	my ($status) = $head =~ m!^HTTP/[\d.]+ (\d+)! or return undef;

	return length $head if $status =~ /^1|^204|^304/ || $method eq 'HEAD';
	return length($head) + $1
		if $head =~ /^Content-Length:[ \t]*(\d+)/mi;
	return undef unless $head =~ /^Transfer-Encoding:[ \t]*chunked/mi;

	pos($raw) = length $head;

	while ($raw =~ /\G([0-9a-f]+)\r\n/gci) {
		my $size = hex $1;
		my $at = pos($raw) + $size + 2;

		return $at if $size == 0;
		return undef if $at > length $raw;
		pos($raw) = $at;
	}

	return undef;
}

sub parsed($test, $raw, $method, $complete) {
	my %a = (status => '', headers => {}, body => '', raw => $raw,
		code => '(no answer)');

	$test->{answers} .= $raw;

	my ($head, $body) = split /\r\n\r\n/, $raw, 2;
	my ($line, @lines) = split /\r\n/, $head // '', -1;

	($line // '') =~ m!^HTTP/([\d.]+) (\d{3}) ?(.*)\z! or return \%a;
	@a{qw/ version status reason /} = ($1, $2, $3);
	$a{incomplete} = 1 unless $complete;

	for (@lines) {
		push @{$test->{problems}}, "header line \"$_\""
			unless /^([^:\s]+):[ \t]*(.*?)[ \t]*\z/;

		my ($name, $value) = ($1 // $_, $2 // '');
		my $had = $a{headers}{lc $name};
		$a{headers}{lc $name} = defined $had ? "$had, $value" : $value;
	}

	$a{body} = $body // '';
	$a{body} = dechunk($a{body})
		if ($a{headers}{'transfer-encoding'} // '') eq 'chunked';

	$a{code} = $method eq 'HEAD' ? '' : parse_xml(\%a);
	check($test, \%a) if $method eq 'DELETE';

	my $id = $a{headers}{'x-amz-request-id'};
	$test->{answered}{$id} = \%a if $id;

	return \%a;
}

sub dechunk($raw) {
	my $body = '';

	while ($raw =~ /\G([0-9a-f]+)\r\n/gci) {
		my $size = hex $1 or last;
		$body .= substr $raw, pos $raw, $size;
		pos($raw) += $size + 2;
	}

	return $body;
}

# S3's error document, strictly.  Returns the code, or "(what is wrong)".

my %ENTITY = (amp => '&', lt => '<', gt => '>', quot => '"', apos => "'");
my $REFERENCE = qr/&(?:(amp|lt|gt|quot|apos)|\#x([0-9A-Fa-f]+)|\#(\d+));/;
my %ELEMENT = map { $_ => 1 } qw/ Code Message Resource RequestId Region /;

sub parse_xml($a) {
	return '' if $a->{status} < 400;
	return '(not application/xml)'
		if ($a->{headers}{'content-type'} // '') ne 'application/xml';

	my ($inner) = $a->{body} =~ m!^<\?xml\ version="1\.0"\ encoding="UTF-8"
		\?>\n?<Error>(.*)</Error>\n?\z!sx
		or return '(no Error document)';

	return '(not UTF-8)' unless utf8::decode(my $copy = $inner);
	return '(not XML characters)' if $copy =~ /[^\x09\x0a\x0d\x20-\x{d7ff}
		\x{e000}-\x{fffd}\x{10000}-\x{10ffff}]/x;

	my %e;

	while ($inner =~ m!\G\s*<(\w+)(?:/>|>([^<>]*)</\g1>)!gc) {
		my ($name, $text) = ($1, $2 // '');

		return "(element $name)" unless $ELEMENT{$name};
		return "($name twice)" if exists $e{$name};
		return "(bare & in $name)" if $text =~ s/$REFERENCE//gr =~ /&/;

		$text =~ s/$REFERENCE/$1 ? $ENTITY{$1}
			: chr(defined $2 ? hex $2 : $3)/ge;
		$e{$name} = $text;
	}

	return '(not well-formed)'
		if substr($inner, pos($inner) // 0) =~ /\S/;

	for (qw/ Code Message Resource RequestId /) {
		return "(no $_)" unless defined $e{$_};
	}

	return '(empty Message)' if $e{Message} eq '';
	return '(RequestId is not x-amz-request-id)'
		if $e{RequestId} ne ($a->{headers}{'x-amz-request-id'} // '');

	@$a{qw/ message resource request_id region /}
		= @e{qw/ Message Resource RequestId Region /};

	return $e{Code};
}

# What holds for all of the module's own answers; done() asserts it.

my %HEADER = map { $_ => 1 } qw/
	date connection keep-alive transfer-encoding content-length content-type
	x-amz-request-id retry-after www-authenticate
/;

sub check($test, $a) {
	my $h = $a->{headers};
	my @problems;

	return unless defined $h->{'x-amz-request-id'};

	push @problems, map { "header $_" }
		grep { !$HEADER{$_} && !$test->{headers}{$_} } sort keys %$h;
	push @problems, 'no request id' if $h->{'x-amz-request-id'} eq '';
	push @problems, $a->{code} if $a->{code} =~ /^\(/;
	push @problems, 'incomplete' if $a->{incomplete};
	push @problems, 'no Date' unless $h->{date};
	push @problems, 'a 204 with a body, or its headers'
		if $a->{status} eq '204' && (length $a->{body}
		|| exists $h->{'content-type'});

	push @{$test->{problems}}, map { "$_ in:\n$a->{raw}" } @problems;
}

###############################################################################

1;
