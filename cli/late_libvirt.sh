#!/bin/sh
# Makes the source that binds libvirt late: mapping libvirt.so and its 50 libraries costs 7 ms, which commands that do not
# call it (--version, help, completion, the version of a local daemon) need not pay. One trampoline for each vir* function
# that the given archive wants; the first call of any loads the library (late_libvirt.cpp).
#   late_libvirt.sh NM ARCHIVE > late_libvirt_table.cpp        x86-64 only
names=$("$1" -u "$2" | awk '$1 == "U" && $2 ~ /^vir[A-Z]/ && $2 != "virConnectAuthPtrDefault" { print $2 }' | LC_ALL=C sort -u)
[ -n "$names" ] || { echo "no libvirt functions in $2" >&2; exit 1; }
count=$(echo "$names" | wc -l)
echo '// Made by late_libvirt.sh.'
echo 'extern "C" const char* const lodge_late_names[] = {'
echo "$names" | sed 's/.*/    "&",/'
echo '};'
echo "extern \"C\" const unsigned lodge_late_count = $count;"
echo 'asm(R"('
cat <<ASM
    .data
    .p2align 3
    .globl lodge_late_slots
lodge_late_slots:
    .rept $count
    .quad lodge_late_first_call
    .endr
    .text
lodge_late_first_call:
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %r8
    push %r9
    push %r10
    call lodge_load_libvirt
    pop %r10
    pop %r9
    pop %r8
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    lea lodge_late_slots(%rip), %r11
    jmp *(%r11, %r10, 8)
ASM
echo "$names" | awk '{ printf "    .globl %s\n    .type %s, @function\n%s:\n    movl $%d, %%r10d\n    jmp *lodge_late_slots+%d(%%rip)\n", $1, $1, $1, NR - 1, (NR - 1) * 8 }'
echo '    .section .note.GNU-stack, "", @progbits'
echo '    .text'
echo ')");'
