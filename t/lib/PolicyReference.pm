package PolicyReference;

# A second opinion on policies: an evaluator that shares nothing with the
# module's, as straightforward as can be.
#
#     my ($verdict, $at) = PolicyReference::decide(\@rules, \%request);
#
# A rule is { effect => 'allow' | 'deny', at => 'file:line', conditions =>
# [...] }; its conditions are strings, as they come out of nginx's own reading
# of a configuration ("key=uploads/*").  A request is a hash of tenant,
# endpoint, bucket, key, upload_id, time (Unix seconds) and variables, a hash
# of values.  With "no_if" it is unknown whether an if= matches.  With "slow",
# a hash of regular expressions and keys, "$regex $key" is a match that takes
# too long.
#
# Texts are bytes.

###############################################################################

use v5.36;

use List::Util qw/ first /;

my %SECONDS = (s => 1, m => 60, h => 3600, d => 86400, w => 7 * 86400,
	M => 30 * 86400, y => 365 * 86400);
my %regexes;

###############################################################################

# Denied unless a rule allows it, and a matching deny always wins.  What is
# unknown satisfies a deny, and never an allow.

sub decide($rules, $request) {
	my @hits = grep { my $match = rule($_, $request);
		$match eq 'yes'
			|| $match eq 'unknown' && $_->{effect} eq 'deny' }
		@$rules;

	my $deny = first { $_->{effect} eq 'deny' } @hits;
	return ('DENIED', $deny->{at}) if $deny;

	return ('ALLOWED', $hits[0]{at}) if @hits;
	return ('DENIED', 'default');
}

sub rule($rule, $request) {
	my %n;
	$n{condition($_, $rule, $request)}++ for @{$rule->{conditions}};

	return $n{no} ? 'no' : $n{unknown} ? 'unknown' : 'yes';
}

sub condition($text, $rule, $request) {
	my ($name, $operator, $value) = $text =~ /^(\w+)([=~])(.*)\z/s
		or die "condition \"$text\"";

	return only_if($value, $request) if $name eq 'if';
	return age($name, $value, $request) if $name =~ /_than\z/;
	return regex($value, $name, $request) if $operator eq '~';
	return pattern($value, $request->{$name}, $request);
}

# "*" is any run of bytes, "?" one byte, "\" escapes, a variable stands for
# its literal value.

sub pattern($glob, $subject, $request) {
	my $re = '';

	while ($glob =~ /\G(?:(\*)|(\?)|\\(.)|\$\{(\w+)\}|\$(\w+)|(.))/gs) {
		my $variable = $4 // $5;

		if (defined $variable) {
			my $value = value($variable, $request);
			return 'unknown' if $value eq '';
			$re .= quotemeta $value;

		} else {
			$re .= $1 ? '.*' : $2 ? '.' : quotemeta($3 // $6);
		}
	}

	return $subject =~ /\A$re\z/s ? 'yes' : 'no';
}

# The whole value, by characters; a group "tenant" is the tenant.

sub regex($regex, $name, $request) {
	my $subject = $request->{$name};

	return 'unknown' if $request->{slow}{"$regex $subject"};

	my $re = $regexes{$regex} //= do {
		utf8::decode(my $chars = $regex);
		qr/\A(?:$chars)\z/a;
	};

	my $has_tenant = $regex =~ /\(\?<tenant>/;

	utf8::decode($subject);
	return 'no' if $subject !~ $re;
	return 'yes' if !$has_tenant;
	return ($+{tenant} // '') eq $request->{tenant} ? 'yes' : 'no';
}

sub age($name, $time, $request) {
	my ($msec) = $request->{upload_id} =~ /^[0-9a-f]{4}([0-9a-f]{4}-
		[0-9a-f]{4}-[0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{12}\z/xi
		or return 'unknown';
	my ($number, $unit) = $time =~ /^(\d+)([a-zA-Z]?)\z/;

	my $digits = $msec =~ tr/-//dr;
	my $age = $request->{time} - (hex(substr $digits, 0, 6) * 2 ** 24
		+ hex(substr $digits, 6)) / 1000;
	my $limit = $number * $SECONDS{$unit || 's'};

	return 'unknown' if $age < 0;
	return ($name eq 'older_than') == ($age >= $limit) ? 'yes' : 'no';
}

sub only_if($variable, $request) {
	return 'unknown' if $request->{no_if};

	my $value = value($variable =~ tr/${}//dr, $request);
	return $value eq '' || $value eq '0' ? 'no' : 'yes';
}

sub value($name, $request) {
	return $request->{variables}{$name} // '';
}

###############################################################################

1;
