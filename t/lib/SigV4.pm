package SigV4;

# AWS Signature Version 4, written from the Amazon S3 API Reference,
# "Authenticating Requests (AWS Signature Version 4)": header and presigned,
# signing and verifying.  A second opinion on the module's own signer, with
# which it shares no line.
#
# A request is a hash:
#
#     method, target      as on the wire
#     headers             [[name, value], ...]
#     payload_hash        default: that of the empty body; presigned:
#                         UNSIGNED-PAYLOAD
#     signed              names of the headers to sign; default: Host and all
#                         x-amz-*
#     access_key, secret, token, region, service (s3), time (now), expires
#
# The three stages - canonical_request(), string_to_sign(), signature() - can
# be called and compared one by one.

###############################################################################

use v5.36;

use Digest::SHA qw/ sha256_hex hmac_sha256 hmac_sha256_hex /;
use Exporter qw/ import /;
use POSIX qw/ strftime /;

our @EXPORT_OK = qw/
	canonical_request string_to_sign signature sign presign verify
	amz_time amz_epoch uri_encode uri_decode EMPTY_SHA256
/;

use constant ALGORITHM => 'AWS4-HMAC-SHA256';
use constant EMPTY_SHA256 => sha256_hex('');

###############################################################################

sub uri_encode($s, $keep = '') {
	$s =~ s/([^A-Za-z0-9\-._~$keep])/sprintf '%%%02X', ord $1/ge;
	return $s;
}

sub uri_decode($s) {
	$s =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
	return $s;
}

sub amz_time($epoch = time) {
	return strftime('%Y%m%dT%H%M%SZ', gmtime $epoch);
}

sub amz_epoch($time) {
	$time =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\z/ or return undef;

	require Time::Local;
	return eval { Time::Local::timegm_modern($6, $5, $4, $3, $2 - 1, $1) };
}

###############################################################################

sub canonical_request(%r) {
	my ($path, $query) = split /\?/, $r{target}, 2;

	my @lines = map {
		my $name = $_;
		my @v = map { $_->[1] } grep { lc $_->[0] eq $name }
			@{$r{headers}};
		@v or die "signed header \"$name\" is absent\n";
		"$name:" . join(',', map { s/^\s+|\s+$//gr =~ s/ +/ /gr } @v)
			. "\n";
	} @{$r{signed}};

	return join("\n", $r{method}, uri_encode(uri_decode($path), '/'),
		canonical_query($query // ''), join('', @lines),
		join(';', @{$r{signed}}), $r{payload_hash});
}

sub canonical_query($query) {
	my @p;

	for (split /&/, $query) {
		my ($name, $value) = map { uri_encode(uri_decode($_)) }
			split(/=/, $_, 2);
		push @p, [$name // '', $value // ''];
	}

	return join '&', map { "$_->[0]=$_->[1]" }
		sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] }
		grep { $_->[0] ne 'X-Amz-Signature' } @p;
}

sub string_to_sign($canonical, $time, $region, $service = 's3') {
	return join("\n", ALGORITHM, $time, scope($time, $region, $service),
		sha256_hex($canonical));
}

sub scope($time, $region, $service) {
	return substr($time, 0, 8) . "/$region/$service/aws4_request";
}

sub signature($string, $secret, $date, $region, $service = 's3') {
	my $key = "AWS4$secret";
	$key = hmac_sha256($_, $key) for $date, $region, $service,
		'aws4_request';

	return hmac_sha256_hex($string, $key);
}

###############################################################################

# Returns the request with the headers that signing adds, and with
# canonical_request, string_to_sign, signature and scope.

sub sign(%r) {
	%r = defaults(%r);
	$r{payload_hash} //= EMPTY_SHA256;

	my %have = map { lc $_->[0] => 1 } @{$r{headers}};
	my @add = (['x-amz-date', $r{time}],
		['x-amz-content-sha256', $r{payload_hash}]);
	push @add, ['x-amz-security-token', $r{token}] if defined $r{token};

	push @{$r{headers}}, grep { !$have{$_->[0]} } @add;

	calculate(\%r);

	push @{$r{headers}}, ['Authorization', ALGORITHM
		. " Credential=$r{access_key}/$r{scope},"
		. ' SignedHeaders=' . join(';', @{$r{signed}})
		. ", Signature=$r{signature}"];

	return \%r;
}

sub presign(%r) {
	%r = defaults(%r);
	$r{payload_hash} //= 'UNSIGNED-PAYLOAD';
	$r{signed} //= ['host'];
	$r{scope} = scope($r{time}, $r{region}, $r{service});

	my @add = ('X-Amz-Algorithm' => ALGORITHM,
		'X-Amz-Credential' => "$r{access_key}/$r{scope}",
		'X-Amz-Date' => $r{time},
		'X-Amz-Expires' => $r{expires} // 900,
		'X-Amz-SignedHeaders' => join(';', @{$r{signed}}));
	push @add, 'X-Amz-Security-Token' => $r{token} if defined $r{token};

	while (my ($name, $value) = splice @add, 0, 2) {
		$r{target} .= ($r{target} =~ /\?/ ? '&' : '?') . "$name="
			. uri_encode($value);
	}

	calculate(\%r);
	$r{target} .= "&X-Amz-Signature=$r{signature}";

	return \%r;
}

sub defaults(%r) {
	$r{method} //= 'DELETE';
	$r{service} //= 's3';
	$r{time} //= amz_time();
	$r{headers} = [map { [@$_] } @{$r{headers}}];
	return %r;
}

sub calculate($r) {
	$r->{scope} = scope(@$r{qw/ time region service /});
	$r->{signed} //= [sort { $a cmp $b } grep { /^(?:host|x-amz-.*)\z/ }
		map { lc $_->[0] } @{$r->{headers}}];
	$r->{canonical_request} = canonical_request(%$r);
	$r->{string_to_sign} = string_to_sign($r->{canonical_request},
		@$r{qw/ time region service /});
	$r->{signature} = signature($r->{string_to_sign}, $r->{secret},
		substr($r->{time}, 0, 8), @$r{qw/ region service /});
}

###############################################################################

# Verifies a request: method, target, headers; keys is { access key => secret }.
# Returns an empty string, or what is wrong with it.  The parsed parts are put
# into %$parts.

sub verify($r, $parts = {}) {
	my @auth = grep { lc $_->[0] eq 'authorization' } @{$r->{headers}};
	my ($query) = $r->{target} =~ /\?(.*)/s;

	return 'no signature' if !@auth && ($query // '') !~ /X-Amz-Sig/;
	return 'more than one Authorization' if @auth > 1;

	my $error = @auth ? parse_header($auth[0][1], $r, $parts)
		: parse_query($query, $parts);
	return $error if $error;

	my %p = %$parts;

	return "unknown access key \"$p{access_key}\""
		unless defined $r->{keys}{$p{access_key}};
	return "region \"$p{region}\" instead of \"$r->{region}\""
		if defined $r->{region} && $r->{region} ne $p{region};
	return "service \"$p{service}\""
		if ($r->{service} // 's3') ne $p{service};
	return "scope date $p{date} but time $p{time}"
		unless index($p{time}, $p{date}) == 0;
	return "SignedHeaders are not sorted"
		if join(';', sort { $a cmp $b } @{$p{signed}})
		ne join(';', @{$p{signed}});

	my $canonical = eval { canonical_request(%$r, %p) };
	return $@ =~ s/\n//r unless defined $canonical;

	my $expected = signature(string_to_sign($canonical, $p{time},
		$p{region}, $p{service}), $r->{keys}{$p{access_key}}, $p{date},
		$p{region}, $p{service});

	return $expected eq $p{signature} ? ''
		: "signature does not match; canonical request:\n$canonical";
}

my $CREDENTIAL = qr!([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request!;

sub parse_header($value, $r, $parts) {
	$value =~ m!^AWS4-HMAC-SHA256\ Credential=$CREDENTIAL,\ ?
		SignedHeaders=([a-z0-9\-;]+),\ ?Signature=([0-9a-f]{64})\z!x
		or return 'malformed Authorization';

	@$parts{qw/ access_key date region service signature /}
		= ($1, $2, $3, $4, $6);
	$parts->{signed} = [split /;/, $5];

	my %h = map { lc $_->[0] => $_->[1] } @{$r->{headers}};
	$parts->{time} = $h{'x-amz-date'} // '';
	$parts->{payload_hash} = $h{'x-amz-content-sha256'} // EMPTY_SHA256;

	return '';
}

sub parse_query($query, $parts) {
	my %q = map { my ($name, $value) = split /=/, $_, 2;
		$name => uri_decode($value // '') } split /&/, $query;

	($q{'X-Amz-Algorithm'} // '') eq ALGORITHM
		or return 'malformed X-Amz-Algorithm';
	($q{'X-Amz-Credential'} // '') =~ /^$CREDENTIAL\z/
		or return 'malformed X-Amz-Credential';

	@$parts{qw/ access_key date region service /} = ($1, $2, $3, $4);
	$parts->{signed} = [split /;/, $q{'X-Amz-SignedHeaders'} // ''];
	$parts->{signature} = $q{'X-Amz-Signature'};
	$parts->{time} = $q{'X-Amz-Date'} // '';
	$parts->{expires} = $q{'X-Amz-Expires'};
	$parts->{payload_hash} = $q{'X-Amz-Content-Sha256'}
		// 'UNSIGNED-PAYLOAD';

	return '';
}

###############################################################################

1;
